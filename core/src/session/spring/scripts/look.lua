local time = redis.call('TIME')
local kind = redis.call('TYPE', KEYS[1]).ok
local facts = {time[1] * 1000 + math.floor(time[2] / 1000), kind, redis.call('PTTL', KEYS[1]), -3}
if KEYS[2] then facts[4] = redis.call('PTTL', KEYS[2]) end
if kind == 'hash' then
  local limit = tonumber(ARGV[1])
  local values = redis.call('HMGET', KEYS[1], 'creationTime', 'lastAccessedTime', 'maxInactiveInterval', unpack(ARGV, 2))
  for at = 1, 2 + #ARGV do
    local value = values[at]
    if value and #value > limit then value = #value end
    facts[4 + at] = value
  end
end
return facts
