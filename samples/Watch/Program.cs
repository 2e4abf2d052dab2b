// Prints what changes in a registry, until Ctrl+C: dotnet run --project samples/Watch -- https://registry.example.org/ [sequence to begin after]
using NpmMirror.Hosting;
using NpmMirror.Options;

await foreach (var told in RegistryWatch.FollowAsync(new MirrorOptions { Upstream = args[0], LastSeq = args.ElementAtOrDefault(1) }))
{
    Console.WriteLine(told);
}
