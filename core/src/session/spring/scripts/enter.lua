redis.call('SADD', KEYS[1], ARGV[1])
return raise(KEYS[1], tonumber(ARGV[2]))
