local layout, mode, minutes, id, index = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local s = session(KEYS[1], KEYS[2], layout)
if s.kind == 'hash' then
  if layout == 'plain' or not s.whole then
    redis.call('DEL', KEYS[1])
  elseif s.max ~= 0 then
    redis.call('HSET', KEYS[1], 'maxInactiveInterval', s.form == 'java' and INTEGER .. bytes(0, 4) or '0')
    redis.call('PEXPIRE', KEYS[1], '300000')
  end
end
if layout == 'indexed' then
  if s.whole then
    unfile(s, KEYS[3], sorted(KEYS[3], mode, s.form), minutes, id)
    if index ~= '' then redis.pcall('SREM', index, write_text(s.form, id)) end
  end
  redis.call('DEL', KEYS[2])
end
return s.facts
