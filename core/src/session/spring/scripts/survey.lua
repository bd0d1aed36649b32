local page = redis.call('SCAN', ARGV[1], 'MATCH', ARGV[2], 'COUNT', ARGV[3])
local time = redis.call('TIME')
local found = {page[1], time[1] * 1000 + math.floor(time[2] / 1000)}
for _, key in ipairs(page[2]) do
  local id = string.sub(key, #KEYS[1] + 1)
  if #found < 200 and not string.find(id, ':', 1, true) and redis.call('TYPE', key).ok == 'hash' then
    found[#found + 1] = redis.call('PTTL', key)
    found[#found + 1] = redis.call('PTTL', KEYS[1] .. 'expires:' .. id)
    for _, value in ipairs({'creationTime', 'lastAccessedTime', 'maxInactiveInterval'}) do
      local text = redis.call('HGET', key, value)
      found[#found + 1] = text and #text <= 100 and text or ''
    end
  end
end
return found
