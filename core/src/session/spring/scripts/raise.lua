return raise(KEYS[1], tonumber(ARGV[1]))
