"""The Lua scripts of the counters in Redis. Each is one round trip, and all its keys are in one hash slot.

A counter is a hash of slot -> amount, or, for what is held at once, a sorted set of reservation -> end of its lease. A
reservation is a text "slot,amount;slot,amount…", and "over" once it is settled or called off: so the same id never takes twice,
and never after it is over. All times are Redis's own, in seconds since 1970.
"""

from __future__ import annotations

# One text says it of all counters, and one is the answer: what an exchange costs here is counted in arguments. For each counter:
# kind (r rolling, c calendar, z held), limit (-1: none), amount, then a, b, c, d, and a semicolon. Rolling: a is the width of a
# slot, b how many there are. Calendar: a, b and c are the starts of the windows before, now and next; d is the end of the next.
_ARITHMETIC = """
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local function text(number) return string.format('%.0f', number) end
local function place(kind, a, b, c)
  if kind == 'r' then return math.floor(now / a) end
  if now >= c then return c end
  if now >= b then return b end
  return a
end
local function used(key, kind, slot, slots)
  if kind == 'z' then
    redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
    return redis.call('ZCARD', key), {}
  end
  if kind == 'c' then return tonumber(redis.call('HGET', key, text(slot)) or '0'), {} end
  local all, total, live = redis.call('HGETALL', key), 0, {}
  for i = 1, #all, 2 do
    local at, amount = tonumber(all[i]), tonumber(all[i + 1])
    if at < slot - slots then
      redis.call('HDEL', key, all[i])
    else
      if at > slot then
        -- The clock went back: what was taken in its future was taken just now.
        redis.call('HDEL', key, all[i])
        redis.call('HINCRBY', key, text(slot), text(amount))
        at = slot
      end
      total = total + amount
      table.insert(live, {at, amount})
    end
  end
  return total, live
end
local function keep(key, kind, slot, a, b, c, d)
  local left
  if kind == 'r' then
    left = a * (b + 2)
  else
    local ends = d
    if slot == a then ends = b elseif slot == b then ends = c end
    left = ends - now + 3600
    if redis.call('HLEN', key) > 4 then
      for _, known in ipairs(redis.call('HKEYS', key)) do
        local at = tonumber(known)
        if at ~= a and at ~= b and at ~= c then redis.call('HDEL', key, known) end
      end
    end
  end
  local ms = math.ceil(left * 1000)
  if ms > 0 and redis.call('PTTL', key) < ms then redis.call('PEXPIRE', key, text(ms)) end
end
local function rules(text)
  local found = {}
  for kind, limit, amount, a, b, c, d in string.gmatch(text, '(%a) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+);') do
    table.insert(found, {kind = kind, limit = tonumber(limit), amount = tonumber(amount), a = tonumber(a), b = tonumber(b),
      c = tonumber(c), d = tonumber(d)})
  end
  return found
end
local function said(answer) return table.concat(answer, ' ') end
"""

# KEYS: the reservation, then the counters. ARGV: its id, then "MS SECONDS;", how long it and a lease are kept, and the counters.
# Gives "now, index of the one that refused or 0, ms until it has room, used of each so far"; index -1: called off before.
RESERVE = (
    _ARITHMETIC
    + """
local known = redis.call('GET', KEYS[1])
local kept, lease = string.match(ARGV[2], '^(%S+) (%S+);')
local asked, totals, slots = rules(ARGV[2]), {}, {}
if known == 'over' then return said({text(now * 1000), -1, 0}) end
for i, rule in ipairs(asked) do
  local key = KEYS[i + 1]
  slots[i] = place(rule.kind, rule.a, rule.b, rule.c)
  local total, live = used(key, rule.kind, slots[i], rule.b)
  if not known then
    local needed = total + rule.amount - rule.limit
    if rule.limit >= 0 and needed > 0 then
      local wait = 1
      if rule.kind == 'c' then
        wait = (slots[i] == rule.a and rule.b or slots[i] == rule.b and rule.c or rule.d) - now
      elseif rule.kind == 'r' then
        wait = rule.a * rule.b
        table.sort(live, function(one, other) return one[1] < other[1] end)
        local freed = 0
        for _, entry in ipairs(live) do
          freed = freed + entry[2]
          if freed >= needed then
            wait = (entry[1] + rule.b + 1) * rule.a - now
            break
          end
        end
      end
      table.insert(totals, text(total))
      return said({text(now * 1000), i, text(wait * 1000), said(totals)})
    end
    total = total + rule.amount
  end
  table.insert(totals, text(total))
end
if not known then
  local taken = {}
  for i, rule in ipairs(asked) do
    local key = KEYS[i + 1]
    if rule.kind == 'z' then
      redis.call('ZADD', key, now + tonumber(lease), ARGV[1])
      redis.call('PEXPIRE', key, text(tonumber(lease) * 2000))
    else
      redis.call('HINCRBY', key, text(slots[i]), text(rule.amount))
      keep(key, rule.kind, slots[i], rule.a, rule.b, rule.c, rule.d)
    end
    taken[i] = text(slots[i]) .. ',' .. text(rule.amount)
  end
  redis.call('SET', KEYS[1], table.concat(taken, ';'), 'PX', kept)
end
return said({text(now * 1000), 0, 0, said(totals)})
"""
)

# KEYS and ARGV as above; an amount of -1 keeps what was taken. Gives "now slot used slot used …", or "now" when there was
# nothing to settle; then the reservation is called off, should it still arrive.
SETTLE = (
    _ARITHMETIC
    + """
local known = redis.call('GET', KEYS[1])
redis.call('SET', KEYS[1], 'over', 'PX', 120000)
local answer, i, asked = {text(now * 1000)}, 0, rules(ARGV[2])
if not known or known == 'over' then
  -- A place may be held without: of a reservation that was made while this server was lost.
  for i, rule in ipairs(asked) do
    if rule.kind == 'z' then redis.call('ZREM', KEYS[i + 1], ARGV[1]) end
  end
  return said(answer)
end
for at, amount in string.gmatch(known, '(%-?%d+),(%d+)') do
  i = i + 1
  local rule, key = asked[i], KEYS[i + 1]
  at, amount = tonumber(at), tonumber(amount)
  local slot = place(rule.kind, rule.a, rule.b, rule.c)
  if rule.kind == 'z' then
    redis.call('ZREM', key, ARGV[1])
  elseif rule.amount >= 0 and rule.amount ~= amount then
    local delta = rule.amount - amount
    local into = (delta > 0 and rule.kind == 'r') and slot or at
    if into == slot or redis.call('HEXISTS', key, text(into)) == 1 then
      redis.call('HINCRBY', key, text(into), text(delta))
      keep(key, rule.kind, into, rule.a, rule.b, rule.c, rule.d)
    end
  end
  table.insert(answer, text(at))
  table.insert(answer, text((used(key, rule.kind, rule.kind == 'c' and at or slot, rule.b))))
end
return said(answer)
"""
)

# KEYS: counters. ARGV as above, but for the counters unused. Gives "now used …".
USED = (
    _ARITHMETIC
    + """
local answer = {text(now * 1000)}
for i, rule in ipairs(rules(ARGV[2])) do
  table.insert(answer, text((used(KEYS[i], rule.kind, place(rule.kind, rule.a, rule.b, rule.c), rule.b))))
end
return said(answer)
"""
)

# What was counted elsewhere, added once. KEYS: the batch's name, then counters. ARGV: how (add, or least: at least so much), then
# for each: slot, amount, end of its use in seconds since 1970.
CHARGE = """
local time = redis.call('TIME')
local now = tonumber(time[1])
if not redis.call('SET', KEYS[1], '1', 'NX', 'PX', 3600000) then return 0 end
for i = 2, #KEYS do
  local slot, amount, ends = ARGV[i * 3 - 4], ARGV[i * 3 - 3], tonumber(ARGV[i * 3 - 2])
  if ends > now then
    if ARGV[1] == 'add' then
      if tonumber(amount) > 0 or redis.call('HEXISTS', KEYS[i], slot) == 1 then redis.call('HINCRBY', KEYS[i], slot, amount) end
    elseif tonumber(redis.call('HGET', KEYS[i], slot) or '0') < tonumber(amount) then
      redis.call('HSET', KEYS[i], slot, amount)
    end
    local ms = (ends - now + 3600) * 1000
    if redis.call('PTTL', KEYS[i]) < ms then redis.call('PEXPIRE', KEYS[i], string.format('%.0f', ms)) end
  end
end
return 1
"""

# A sign of life. KEYS: held counters. ARGV: seconds of a lease, then a reservation for each.
RENEW = """
local time = redis.call('TIME')
for i, key in ipairs(KEYS) do
  redis.call('ZADD', key, tonumber(time[1]) + tonumber(time[2]) / 1000000 + tonumber(ARGV[1]), ARGV[i + 1])
  redis.call('PEXPIRE', key, string.format('%.0f', tonumber(ARGV[1]) * 2000))
end
return 1
"""
