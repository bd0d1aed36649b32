redis.call('TIME')
return redis.call('DEL', KEYS[1])
