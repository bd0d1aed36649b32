local LONG = '\172\237\0\5sr\0\14java.lang.Long;\139\228\144\204\143#\223\2\0\1J\0\5valuexr\0\16java.lang.Number\134\172\149\29\11\148\224\139\2\0\0xp'
local INTEGER = '\172\237\0\5sr\0\17java.lang.Integer\18\226\160\164\247\129\1358\2\0\1I\0\5valuexr\0\16java.lang.Number\134\172\149\29\11\148\224\139\2\0\0xp'
local FAR = 31622400000

local function digits(number) return string.format('%.0f', number) end

local function minute(due) return (math.floor(due / 60000) + 1) * 60000 end

local function big(text, from, to)
  local number = 0
  for at = from, to do number = number * 256 + string.byte(text, at) end
  return number
end

local function read(text, head, width)
  if string.sub(text, 1, #head) == head then
    if #text ~= #head + width then return nil end
    local high = big(text, #head + 1, #head + 4)
    if high >= 2147483648 then high = high - 4294967296 end
    if width == 8 then high = high * 4294967296 + big(text, #head + 5, #head + 8) end
    return high, 'java'
  end
  if #text <= 15 and string.find(text, '^%-?%d+$') then return tonumber(text), 'json' end
end

local function bytes(number, width)
  local text = ''
  for _ = 1, width do
    text = string.char(number % 256) .. text
    number = math.floor(number / 256)
  end
  return text
end

local function write_long(form, number)
  if form == 'java' then return LONG .. bytes(number, 8) end
  return digits(number)
end

local function write_text(form, text)
  if form == 'java' then return '\172\237\0\5t' .. bytes(#text, 2) .. text end
  if form == 'json' then return '"' .. text .. '"' end
  return text
end

local function session(hash, shadow, layout)
  local time = redis.call('TIME')
  local s = {now = time[1] * 1000 + math.floor(time[2] / 1000), kind = redis.call('TYPE', hash).ok}
  local hash_ttl = redis.call('PTTL', hash)
  local shadow_ttl = shadow and redis.call('PTTL', shadow) or -3
  s.facts = {s.now, s.kind, hash_ttl, shadow_ttl}
  if s.kind ~= 'hash' then return s end
  local values = redis.call('HMGET', hash, 'creationTime', 'lastAccessedTime', 'maxInactiveInterval')
  for at = 1, 3 do s.facts[4 + at] = values[at] end
  if not values[1] or values[1] == '' or not values[2] or not values[3] then return s end
  local last, form = read(values[2], LONG, 8)
  local max = read(values[3], INTEGER, 4)
  if not last or not max or last < 0 or last > s.now + FAR or max > 2147483647 or max < -2147483648 then return s end
  s.whole, s.last, s.max, s.form = true, last, max, form
  if max < 0 or layout == 'hash' then
    s.lives = max ~= 0
  elseif max > 0 then
    local left = layout == 'plain' and hash_ttl or shadow_ttl
    s.lives = left > 0 or (left == -1 and last + max * 1000 > s.now)
  end
  return s
end

local function raise(key, ttl)
  local left = redis.call('PTTL', key)
  if left == -1 or (left >= 0 and left < ttl) then
    redis.call('PEXPIRE', key, digits(ttl))
    return ttl
  end
  return left
end

local function sorted(key, mode, form)
  if mode == 'sets' then return nil end
  local first = redis.pcall('ZRANGE', key, 0, 0)[1]
  if not first then return mode == 'sorted' and form or nil end
  local head = string.sub(first, 1, 1)
  return head == '\172' and 'java' or head == '"' and 'json' or 'plain'
end

local function unfile(s, key, member, minutes, id, but)
  if member then redis.pcall('ZREM', key, write_text(member, id)) end
  local due = minute(s.last + s.max * 1000)
  if s.max > 0 and due ~= but then redis.pcall('SREM', minutes .. digits(due), write_text(s.form, 'expires:' .. id)) end
end

local function file(form, key, member, minutes, id, due, ttl)
  if member then
    redis.pcall('ZADD', key, digits(due), write_text(member, id))
    return
  end
  local set = minutes .. digits(minute(due))
  if type(redis.pcall('SADD', set, write_text(form, 'expires:' .. id))) == 'number' then
    redis.call('PEXPIRE', set, digits(ttl + 300000))
  end
end
