local layout, mode, minutes, id, form = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local ttl, due, index = tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8]
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('HSET', KEYS[1], unpack(ARGV, 11))
redis.call('PEXPIRE', KEYS[1], digits(layout == 'plain' and ttl or ttl + 300000))
if layout == 'indexed' then
  redis.call('SET', KEYS[2], '', 'PX', digits(ttl))
  file(form, KEYS[3], sorted(KEYS[3], mode, form), minutes, id, due, ttl)
  if index ~= '' then redis.pcall('SADD', index, write_text(form, id)) end
  redis.pcall('PUBLISH', ARGV[9], ARGV[10])
end
return 1
