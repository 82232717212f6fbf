-- One partner's calls of the last second, counted for all workers. Times are the store's own, in milliseconds.
-- KEYS: what is known of the quota (hash), when calls leave (sorted set), since when the store remembers anything.
-- ARGV: calls a second that the partner allows, calls wanted ("refused": one was refused), then
--   of "refused": seconds for which it wants none;
--   else: 1 where the worker could not ask before this, or 0; within how many milliseconds it uses what it is
--   granted; how many calls left just now whose turns were over; then calls granted before that did not leave, as pairs
--   of stamp and number.
-- Returns: granted, stamp, for how many milliseconds they are good, milliseconds until it is worth asking again, rate.

local SECOND = 1000
-- A granted call is counted as if it left at the last moment at which it may.
local SOON, LATE = 12, 250
-- A store that has lost its memory or was out of reach: for so long others may have asked the one before, or go by
-- their own shares.
local QUIET = 3100
-- Calls are spread: so much faster than the quota on the average, and so far ahead.
local HASTE, BURST = 1.25, 50
-- What a refusal does: half of the rate for a while, then up to just below it, then slowly, then ever faster.
local HALVED, BACK, LONG = 1, 2, 30
local BELOW, CLIMB, HURRY = 0.97, 0.001, 0.000004
local LEAST = 0.02
-- No partner is left alone for longer at once.
local CLOSED_MOST = 3600 * 1000

local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local quota = tonumber(ARGV[1])

local since = tonumber(redis.call('GET', KEYS[3]))
local newest = redis.call('ZRANGE', KEYS[2], -1, -1)[1]
if newest and tonumber(newest) > now + SECOND then  -- its clock was put back
    redis.call('DEL', KEYS[2])
    redis.call('HDEL', KEYS[1], 'refused_at', 'closed', 'next')
    since = nil
end
local was_lost = ARGV[2] ~= 'refused' and ARGV[3] == '1'
if not since or since > now + SECOND or was_lost and now - since > QUIET then
    since = now
    redis.call('SET', KEYS[3], string.format('%.3f', now))
end

local function rate_now(refused, at)
    if not refused then return quota end
    local s, rate = (now - at) / SECOND, nil
    if s < HALVED then
        rate = refused / 2
    elseif s < BACK then
        rate = refused * (0.5 + (BELOW - 0.5) * (s - HALVED) / (BACK - HALVED))
    else
        rate = refused * (BELOW + CLIMB * (s - BACK))
        if s > LONG then rate = rate + quota * HURRY * (s - LONG) ^ 3 end
    end
    return math.min(quota, math.max(quota * LEAST, rate))
end

local kept = redis.call('HMGET', KEYS[1], 'refused', 'refused_at', 'closed', 'next')
local refused, refused_at = tonumber(kept[1]), tonumber(kept[2])
local closed, next_at = tonumber(kept[3]) or 0, tonumber(kept[4]) or 0
-- Nothing of ours lies so far ahead: the store's clock was put back, or somebody else writes here.
if refused_at and refused_at > now + SECOND then refused, refused_at = nil, nil end
if closed > now + CLOSED_MOST + SECOND then closed = 0 end
if next_at > now + BURST + SECOND * (1 + 1 / (quota * LEAST * HASTE)) then next_at = 0 end
local rate = rate_now(refused, refused_at)
local span = SECOND * math.max(1, 1 / rate)

for i = 6, ARGV[2] ~= 'refused' and #ARGV or 0, 2 do
    local held = tonumber(redis.call('ZSCORE', KEYS[2], ARGV[i])) and tonumber(redis.call('HGET', KEYS[1], ARGV[i]))
    if held then redis.call('HINCRBY', KEYS[1], ARGV[i], -math.min(held, tonumber(ARGV[i + 1]))) end
end
local over = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now - span)
for _, stamp in ipairs(over) do redis.call('HDEL', KEYS[1], stamp) end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - span)
local late = ARGV[2] ~= 'refused' and tonumber(ARGV[5]) or 0
if late > 0 then
    local left = string.format('%.3f', now)
    redis.call('HINCRBY', KEYS[1], left, late)
    redis.call('ZADD', KEYS[2], left, left)
    redis.call('PEXPIRE', KEYS[1], 7200000)
    redis.call('PEXPIRE', KEYS[2], 60000)
end
local total, stamps = 0, redis.call('ZRANGE', KEYS[2], 0, -1)
if #stamps > 0 then
    for _, count in ipairs(redis.call('HMGET', KEYS[1], unpack(stamps))) do total = total + (tonumber(count) or 0) end
end

if ARGV[2] == 'refused' then
    if not refused or now - refused_at >= HALVED * SECOND then
        refused = math.min(rate, math.max(total, rate / 10))
        redis.call('HSET', KEYS[1], 'refused', refused, 'refused_at', string.format('%.3f', now))
        rate = rate_now(refused, now)
    end
    closed = math.max(closed, now + tonumber(ARGV[3]) * SECOND)
    redis.call('HSET', KEYS[1], 'closed', string.format('%.3f', closed))
    redis.call('PEXPIRE', KEYS[1], 7200000)
    return {0, '', '0', '0', tostring(rate)}
end

local most = math.max(1, math.floor(rate * span / SECOND))
local shut = math.max(closed, since + QUIET)
if now < shut then return {0, '', '0', tostring(shut - now), tostring(rate)} end

local step = SECOND / (rate * HASTE)
local ahead = math.max(next_at, now)
local spread = ahead > now + BURST and 0 or math.floor((now + BURST - ahead) / step) + 1
local granted = math.max(0, math.min(tonumber(ARGV[2]), most - total, spread))
if granted == 0 then
    local wait = total >= most and stamps[1] and tonumber(stamps[1]) + span - now or ahead - BURST - now
    return {0, '', '0', tostring(math.max(1, wait)), tostring(rate)}
end
local good = total + granted <= most / 2 and LATE or math.min(LATE, math.max(SOON, tonumber(ARGV[4])))
local stamp = string.format('%.3f', now + good)
redis.call('HINCRBY', KEYS[1], stamp, granted)
redis.call('HSET', KEYS[1], 'next', string.format('%.3f', ahead + granted * step))
redis.call('ZADD', KEYS[2], stamp, stamp)
redis.call('PEXPIRE', KEYS[1], 7200000)
redis.call('PEXPIRE', KEYS[2], 60000)
return {granted, stamp, tostring(good), '0', tostring(rate)}
