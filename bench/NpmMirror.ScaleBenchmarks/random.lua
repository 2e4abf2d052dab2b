-- Asks for the packuments of names picked at random from a file.
local names = {}

function init(args)
  for name in io.lines(args[1]) do
    names[#names + 1] = name
  end
  math.randomseed(7)
end

function request()
  return wrk.format("GET", wrk.path .. names[math.random(#names)], { ["Accept-Encoding"] = "gzip" })
end
