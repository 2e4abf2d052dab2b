using System.Diagnostics;
using System.Globalization;
using NpmMirror.Tests.Packuments;
using NpmMirror.Tests.Feeds;

// Usage: NpmMirror.Fuzz [inputs] [seed]. Ends with the number of inputs, or with the first input for which a promise was broken (exit 1).
var inputs = args.Length > 0 ? long.Parse(args[0], CultureInfo.InvariantCulture) : 10_000_000;
var seed = args.Length > 1 ? int.Parse(args[1], CultureInfo.InvariantCulture) : Random.Shared.Next(1_000_000_000);
var mutator = new PackumentMutator(Fixture.All());
var feeds = FeedProperties.CreateMutator();
var clock = Stopwatch.StartNew();
long done = 0, accepted = 0, bytes = 0, slowestMs = 0;
var failed = 0;

Console.WriteLine($"{inputs:N0} inputs, seed {seed}, {Environment.ProcessorCount} processors");
using var progress = new Timer(_ => Report("…"), null, TimeSpan.FromSeconds(30), TimeSpan.FromSeconds(30));
Parallel.For(0, inputs, (i, loop) =>
{
    // Every tenth input is a page of a feed, the others are packuments.
    var random = new Random(unchecked(seed + (int)i));
    var isFeed = i % 10 == 9;
    var (name, original, document) = (isFeed ? feeds : mutator).Next(random);
    var started = Stopwatch.GetTimestamp();
    try
    {
        if (isFeed ? FeedProperties.HoldAsync(document, random).GetAwaiter().GetResult() : PackumentProperties.Hold(name, original, document))
        {
            Interlocked.Increment(ref accepted);
        }
    }
    catch (Exception e)
    {
        loop.Stop();
        if (Interlocked.Exchange(ref failed, 1) == 0)
        {
            File.WriteAllBytes("fuzz-failure.json", document);
            Console.Error.WriteLine($"input {i} (seed {unchecked(seed + (int)i)}) of {name}, {document.Length:N0} bytes, kept in fuzz-failure.json: {e}");
        }
    }

    InterlockedMax(ref slowestMs, (long)Stopwatch.GetElapsedTime(started).TotalMilliseconds);
    Interlocked.Add(ref bytes, document.Length);
    Interlocked.Increment(ref done);
});
Report(failed == 0 ? "no promise broken" : "A PROMISE WAS BROKEN");
return failed;

void Report(string state) => Console.WriteLine(
    $"{done:N0} inputs ({bytes / 1e9:F2} GB) in {clock.Elapsed.TotalSeconds:F0} s = {done / clock.Elapsed.TotalSeconds:N0}/s, {accepted:N0} accepted, slowest {slowestMs:N0} ms by the clock; {state}");

static void InterlockedMax(ref long target, long value)
{
    long seen;
    while ((seen = Interlocked.Read(ref target)) < value && Interlocked.CompareExchange(ref target, value, seen) != seen)
    {
    }
}
