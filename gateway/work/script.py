"""The shared hint queue's one script: everything a process has to say to Redis and to ask of it, in one call.

Keys, all under the prefix: `ready:<class>:<tenant>` what may begin, oldest first; `tenants:<class>` whose turn it is;
`later` what is due at a time; `busy` which conversation runs where; `again` what was poked while it ran; `workers` who works,
each until its lease ends; `wake:<class>` a token for one sleeping worker; `number` puts things in order. A class is `r`
(replies) or `b` (bulk), a slot `<tenant>/<conversation>`, a member a class and a slot.

Arguments: the process; how many keys it has room for (-1: it does not work); how many of them may be bulk; its lease, ms; the
mode (``, `resync`: what it lists is all that it holds, `leave`: it holds nothing any more); the lengths of five lists, and these:
members poked, members and ms from now in turn, slots done, members given back, members held.

Answer: the members taken; whether the process was known; ms until the next one is due, or -1; how many processes work;
whether replies still wait.
"""

SCRIPT = """
if redis.replicate_commands then redis.replicate_commands() end  -- before Redis 7: TIME, and then writes
local call = redis.call
local prefix, me, lease, mode = KEYS[1], ARGV[1], tonumber(ARGV[4]), ARGV[5]
local room, bulk_room = tonumber(ARGV[2]), tonumber(ARGV[3])
local workers, busy, again, later = prefix .. 'workers', prefix .. 'busy', prefix .. 'again', prefix .. 'later'
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local at = 10
local function list(place)
  local found, count = {}, tonumber(ARGV[place])
  for i = 1, count do found[i] = ARGV[at + i] end
  at = at + count
  return found
end
local poked, delayed, done, back, held = list(6), list(7), list(8), list(9), list(10)

local function offer(member)
  if call('HEXISTS', busy, string.sub(member, 2)) == 1 then
    call('SADD', again, member)
    return
  end
  local class, tenant = string.match(member, '^(.)([^/]*)')
  local number = call('INCR', prefix .. 'number')
  call('ZADD', prefix .. 'ready:' .. class .. ':' .. tenant, 'NX', number, member)
  call('ZADD', prefix .. 'tenants:' .. class, 'NX', number, tenant)
end

local function free(slot)
  call('HDEL', busy, slot)
  for _, class in ipairs({'r', 'b'}) do
    if call('SREM', again, class .. slot) == 1 then offer(class .. slot) end
  end
end

local function holder(slot)
  return string.sub(call('HGET', busy, slot) or '', 2)
end

local function first()
  return tonumber(call('ZRANGE', later, 0, 0, 'WITHSCORES')[2])
end

local known = call('ZSCORE', workers, me) and 1 or 0
if room >= 0 then call('ZADD', workers, now + lease, me) else call('ZREM', workers, me) end

for _, slot in ipairs(done) do
  if holder(slot) == me then free(slot) end
end
for _, member in ipairs(back) do
  if holder(string.sub(member, 2)) == me then free(string.sub(member, 2)) end
  offer(member)
end
for _, member in ipairs(poked) do offer(member) end
local before = first()
for i = 1, #delayed, 2 do
  call('ZADD', later, 'LT', now + tonumber(delayed[i + 1]), delayed[i])
end

-- What is held by nobody who is alive, or by us without our knowing it, is free again.
if call('ZREMRANGEBYSCORE', workers, '-inf', now) > 0 or mode ~= '' then
  local ours = {}
  for _, member in ipairs(held) do ours[string.sub(member, 2)] = true end
  local all = call('HGETALL', busy)
  for i = 1, #all, 2 do
    local slot, class, who = all[i], string.sub(all[i + 1], 1, 1), string.sub(all[i + 1], 2)
    local lost
    if who == me then lost = mode ~= '' and not ours[slot] else lost = not call('ZSCORE', workers, who) end
    if lost then
      free(slot)
      offer(class .. slot)
    end
  end
  for _, member in ipairs(held) do
    call('HSETNX', busy, string.sub(member, 2), string.sub(member, 1, 1) .. me)
  end
end

for _, member in ipairs(call('ZRANGEBYSCORE', later, '-inf', now, 'LIMIT', 0, 500)) do
  call('ZREM', later, member)
  offer(member)
end

local taken = {}
local function take(class, most)
  local tenants = prefix .. 'tenants:' .. class
  while most > 0 do
    local tenant = call('ZPOPMIN', tenants)[1]
    if not tenant then return end
    local queue = prefix .. 'ready:' .. class .. ':' .. tenant
    local member = call('ZPOPMIN', queue)[1]
    if member then
      if call('EXISTS', queue) == 1 then call('ZADD', tenants, call('INCR', prefix .. 'number'), tenant) end
      local slot = string.sub(member, 2)
      if call('HEXISTS', busy, slot) == 1 then
        call('SADD', again, member)
      else
        call('HSET', busy, slot, class .. me)
        taken[#taken + 1] = member
        most = most - 1
      end
    end
  end
end
take('r', room)
local more = call('EXISTS', prefix .. 'tenants:r')
if more == 0 then take('b', math.min(room - #taken, bulk_room)) end

-- One token wakes one sleeper; if that leaves something, it wakes the next.
local due = first()
local sooner = room <= 0 and due and (not before or due < before)
for _, class in ipairs({'r', 'b'}) do
  local waits = call('EXISTS', prefix .. 'tenants:' .. class) == 1 or (class == 'r' and sooner)
  if waits and call('EXISTS', prefix .. 'wake:' .. class) == 0 then call('RPUSH', prefix .. 'wake:' .. class, 1) end
end
return {taken, known, due and math.max(0, due - now) or -1, call('ZCARD', workers), more}
"""
