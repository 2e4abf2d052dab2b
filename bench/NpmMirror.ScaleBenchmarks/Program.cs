using System.Globalization;
using NpmMirror.ScaleBenchmarks;

// Usage: NpmMirror.ScaleBenchmarks (run PROGRAM LUA WORK FILLED | fill FOLDER | upstream | search FOLDER) [--packages N] [--seed N] [--port N] [--seconds N] [--queries N]
// bench/scale.sh runs all of it.
var words = args.Where(word => !word.StartsWith("--", StringComparison.Ordinal)).ToArray();
var registry = new SyntheticRegistry(Number("packages", 4_400_000), Number("seed", 1));
var port = Number("port", 17_873);
using var ending = new CancellationTokenSource();
Console.CancelKeyPress += (_, pressed) =>
{
    pressed.Cancel = true;
    ending.Cancel();
};

switch (words)
{
    case ["run", var program, var lua, var work, var filled, ..]:
        await new Series(new SeriesOptions(program, lua, work, filled, registry.Packages, Number("seed", 1), port, Number("seconds", 6))).RunAsync();
        return 0;
    case ["fill", var folder, ..]:
        await SyntheticStore.FillAsync(folder, registry, $"http://127.0.0.1:{port}");
        return 0;
    case ["upstream", ..]:
        await new SyntheticUpstream(registry).RunAsync(port, ending.Token);
        return 0;
    case ["search", var folder, ..]:
        await new SearchSeries(folder, new WordyRegistry(registry.Packages, Number("seed", 1)), Number("queries", 300)).RunAsync();
        return 0;
    default:
        await Console.Error.WriteLineAsync("See the first lines of Program.cs.");
        return 2;
}

int Number(string name, int absent)
{
    var at = Array.IndexOf(args, $"--{name}");
    return at < 0 ? absent : int.Parse(args[at + 1], CultureInfo.InvariantCulture);
}
