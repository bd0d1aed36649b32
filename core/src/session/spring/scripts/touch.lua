local layout, mode, minutes, id, age = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local s = session(KEYS[1], KEYS[2], layout)
local at = s.now - age
if not s.lives or at <= s.last then return s.facts end
local ttl = s.max * 1000 - age
if s.max > 0 and ttl <= 0 then return s.facts end
redis.call('HSET', KEYS[1], 'lastAccessedTime', write_long(s.form, at))
if s.max < 0 then
  redis.call('PERSIST', KEYS[1])
  s.facts[8] = -1
elseif layout == 'plain' then
  s.facts[8] = raise(KEYS[1], ttl)
else
  raise(KEYS[1], ttl + 300000)
  s.facts[8] = ttl
  if layout == 'indexed' then
    s.facts[8] = raise(KEYS[2], ttl)
    local due = at + s.max * 1000
    local member = sorted(KEYS[3], mode, s.form)
    if not member then unfile(s, KEYS[3], member, minutes, id, minute(due)) end
    file(s.form, KEYS[3], member, minutes, id, due, s.max * 1000)
  end
end
return s.facts
