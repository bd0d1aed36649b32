local layout, mode, minutes, from, to = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local s = session(KEYS[1], KEYS[3], layout)
if not s.lives or redis.call('RENAMENX', KEYS[1], KEYS[2]) == 0 then return s.facts end
redis.call('HSET', KEYS[2], 'lastAccessedTime', write_long(s.form, s.now), unpack(ARGV, 8))
local ttl = s.max * 1000
if s.max < 0 then
  redis.call('PERSIST', KEYS[2])
  s.facts[8] = -1
else
  s.facts[8] = raise(KEYS[2], layout == 'plain' and ttl or ttl + 300000)
end
if layout == 'indexed' then
  if redis.call('EXISTS', KEYS[3]) == 1 then redis.call('RENAME', KEYS[3], KEYS[4]) end
  local member = sorted(KEYS[5], mode, s.form)
  unfile(s, KEYS[5], member, minutes, from)
  if s.max > 0 then
    s.facts[8] = raise(KEYS[4], ttl)
    file(s.form, KEYS[5], member, minutes, to, s.now + ttl, ttl)
  end
  if ARGV[6] ~= '' then redis.pcall('SREM', ARGV[6], write_text(s.form, from)) end
  if ARGV[7] ~= '' then redis.pcall('SADD', ARGV[7], write_text(s.form, to)) end
end
return s.facts
