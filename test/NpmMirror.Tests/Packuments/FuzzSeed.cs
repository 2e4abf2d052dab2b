namespace NpmMirror.Tests.Packuments;

/// <summary>Where the random numbers of a fuzz test begin: printed, and taken from the environment to see one run again.</summary>
internal static class FuzzSeed
{
    public const string Variable = "NPM_MIRROR_FUZZ_SEED";

    public static int Next(ITestOutputHelper output)
    {
        var seed = int.TryParse(Environment.GetEnvironmentVariable(Variable), out var given) ? given : Random.Shared.Next(1_000_000_000);
        output.WriteLine($"{Variable}={seed}");
        return seed;
    }
}
