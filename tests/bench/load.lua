-- The requests of scripts/bench.sh, for wrk: wrk -s load.lua URL -- NAME
-- 128-byte values; key0 .. key9999 in turn, or more of them.

local letters =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

local function letter(n)
	return letters:sub(n + 1, n + 1)
end

local function base64(text)
	local out = {}
	for i = 1, #text, 3 do
		local a, b, c = text:byte(i, i + 2)
		local n = a * 65536 + (b or 0) * 256 + (c or 0)
		out[#out + 1] = letter(math.floor(n / 262144)) ..
			letter(math.floor(n / 4096) % 64) ..
			(b and letter(math.floor(n / 64) % 64) or "=") ..
			(c and letter(n % 64) or "=")
	end
	return table.concat(out)
end

local json = { ["Content-Type"] = "application/json" }
local form = { ["Content-Type"] = "application/x-www-form-urlencoded" }
local value = string.rep("x", 128)
local value64 = base64(value)
local few = 10000
local many = 1000000
-- Encoding in Lua costs more than the request: done once.
local keys64 = {}
for i = 0, few - 1 do
	keys64[i] = base64("key" .. i)
end

local n = 0
local function key(count)
	n = n + 1
	return "key" .. n % count
end
-- So that neighbours in time are none in the tree.
local function far_key()
	n = n + 1
	return "key" .. n * 7919 % many
end
local function key64()
	n = n + 1
	return keys64[n % few]
end

local function ten(operation)
	local list = {}
	for i = 1, 10 do
		list[i] = operation()
	end
	return table.concat(list, ",")
end

local function luminous_put(target, headers)
	return wrk.format("PUT", target, headers, value)
end
local function v2_put(options)
	return wrk.format("PUT", "/v2/keys/" .. key(few), form,
		options .. "value=" .. value)
end
local function v3(path, body)
	return wrk.format("POST", "/v3/kv/" .. path, json, body)
end
local function v3_put()
	return '{"request_put":{"key":"' .. key64() .. '","value":"' ..
		value64 .. '"}}'
end

local requests = {
	["nginx"] = function() return wrk.format("GET", "/") end,

	["put"] = function() return luminous_put("/kv/" .. key(few)) end,
	["put-many"] = function() return luminous_put("/kv/" .. far_key()) end,
	["get"] = function() return wrk.format("GET", "/kv/" .. key(few)) end,
	["get-many"] = function() return wrk.format("GET", "/kv/" .. far_key()) end,
	["get-stale"] = function()
		return wrk.format("GET",
			"/kv/" .. key(few) .. "?consistency=stale")
	end,
	-- A condition that always holds, so that every one of them writes.
	["cas"] = function()
		return luminous_put("/kv/" .. key(few), { ["If-Match"] = "*" })
	end,
	["ttl"] = function()
		return luminous_put("/kv/" .. key(few) .. "?ttl=1h")
	end,
	["txn"] = function()
		return wrk.format("POST", "/txn", json, '{"then":[' ..
			ten(function()
				return '{"put":"' .. key(few) .. '","value":"' ..
					value .. '"}'
			end) .. "]}")
	end,
	["list"] = function()
		return wrk.format("GET",
			"/kv?prefix=key&limit=100&after=" .. key(few))
	end,

	["v2-put"] = function() return v2_put("") end,
	["v2-cas"] = function() return v2_put("prevExist=true&") end,
	["v2-ttl"] = function() return v2_put("ttl=3600&") end,
	["v2-get"] = function()
		return wrk.format("GET",
			"/v2/keys/" .. key(few) .. "?quorum=true")
	end,
	["v2-get-local"] = function()
		return wrk.format("GET", "/v2/keys/" .. key(few))
	end,

	["v3-put"] = function()
		return v3("put", '{"key":"' .. key64() .. '","value":"' ..
			value64 .. '"}')
	end,
	["v3-get"] = function()
		return v3("range", '{"key":"' .. key64() .. '"}')
	end,
	["v3-cas"] = function()
		local there = key64()
		return v3("txn", '{"compare":[{"key":"' .. there ..
			'","target":"VERSION","result":"GREATER","version":"0"}],' ..
			'"success":[{"request_put":{"key":"' .. there ..
			'","value":"' .. value64 .. '"}}]}')
	end,
	["v3-txn"] = function()
		return v3("txn", '{"success":[' .. ten(v3_put) .. "]}")
	end,
	["v3-list"] = function()
		return v3("range", '{"key":"' .. key64() ..
			'","range_end":"' .. base64("kez") .. '","limit":100}')
	end,
}

function init(arguments)
	request = assert(requests[arguments[1]], "no such request")
end
