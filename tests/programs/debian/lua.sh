# packages: lua5.4
cat >sieve.lua <<'END'
local composite, count = {}, 0
for i = 2, 20000 do
	if not composite[i] then
		count = count + 1
		for j = i * i, 20000, i do composite[j] = true end
	end
end
print(count)
local words = {}
for word in ("the quick brown fox jumps over the lazy dog the end"):gmatch("%a+") do words[word] = (words[word] or 0) + 1 end
local names = {}
for word in pairs(words) do names[#names + 1] = word end
table.sort(names)
for _, word in ipairs(names) do io.write(word, "=", words[word], " ") end
print()
local routine = coroutine.wrap(function() for i = 1, 5 do coroutine.yield(i * i) end end)
print(routine(), routine(), routine())
print(pcall(error, "refused"))
local file = assert(io.open("text", "w"))
for i = 1, 1000 do file:write(i, "\n") end
file:close()
local sum = 0
for line in io.lines("text") do sum = sum + tonumber(line) end
print(sum, string.format("%.6f", math.sin(1)), #string.rep("x", 1 << 22))
collectgarbage()
END
lua5.4 sieve.lua
lua5.4 -e 'os.exit(7)'
echo "status $?"
