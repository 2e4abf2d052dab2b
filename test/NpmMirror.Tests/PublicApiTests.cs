using System.Reflection;
using NpmMirror.AspNetCore;
using NpmMirror.Conformance;
using NpmMirror.MongoDB;
using NpmMirror.Page;
using NpmMirror.Postgres;
using NpmMirror.Redis;
using NpmMirror.S3;
using NpmMirror.Search;
using NpmMirror.Sqlite;
using NpmMirror.Testing;
using PublicApiGenerator;

namespace NpmMirror.Tests;

/// <summary>
/// The promises of the packages to their users: the public surface is written down in <c>PublicApi/*.txt</c>, so that a change of it is seen and
/// intended. To renew the files after an intended change, run these tests with <c>RENEW_PUBLIC_API=1</c> and look at the difference.
/// </summary>
public sealed class PublicApiTests
{
    private const string Renew = "RENEW_PUBLIC_API";

    // The attributes of the contract's tests tell the place of their source.
    private static readonly ApiGeneratorOptions Options = new() { IncludeAssemblyAttributes = false, ExcludeAttributes = ["Xunit.FactAttribute", "Xunit.TheoryAttribute", "Xunit.InlineDataAttribute", "System.Runtime.CompilerServices.AsyncIteratorStateMachineAttribute"] };

    public static TheoryData<string> Assemblies => [.. Packed.Keys];

    private static Dictionary<string, Assembly> Packed { get; } = new[]
    {
        typeof(Digest).Assembly,
        typeof(NpmRegistryExtensions).Assembly,
        typeof(MongoEngine).Assembly,
        typeof(PageExtensions).Assembly,
        typeof(PostgresEngine).Assembly,
        typeof(S3Engine).Assembly,
        typeof(RedisEngine).Assembly,
        typeof(SqliteEngine).Assembly,
        typeof(SqliteSearchIndex).Assembly,
        typeof(FakeRegistry).Assembly,
        typeof(MetadataStoreContract).Assembly,
    }.ToDictionary(assembly => assembly.GetName().Name!);

    [Claim("The public surface of each package is written down, and no engine sees internals of the library",
        With = [nameof(No_engine_sees_internals_of_the_library)])]
    [Theory]
    [MemberData(nameof(Assemblies))]
    public void The_public_surface_is_written_down(string assembly)
    {
        var page = Path.Combine(TestTools.Root, "test/NpmMirror.Tests/PublicApi", $"{assembly}.txt");
        var now = Packed[assembly].GeneratePublicApi(Options).ReplaceLineEndings("\n") + "\n";
        if (Environment.GetEnvironmentVariable(Renew) == "1")
        {
            File.WriteAllText(page, now);
        }

        var before = File.Exists(page) ? File.ReadAllLines(page) : [];
        var lines = now.TrimEnd('\n').Split('\n');
        var (more, less) = (lines.Except(before).ToList(), before.Except(lines).ToList());
        Assert.True(
            lines.SequenceEqual(before),
            $"{assembly} has another public surface than {page} says.\nNew:\n{string.Join('\n', more)}\nGone:\n{string.Join('\n', less)}\n"
            + $"Is the change meant? Then run this test with {Renew}=1 and commit the file. Else make the type or member internal.");
    }

    [Fact]
    public void No_engine_sees_internals_of_the_library()
    {
        var friends = typeof(Digest).Assembly.GetCustomAttributes<System.Runtime.CompilerServices.InternalsVisibleToAttribute>().Select(friend => friend.AssemblyName);
        Assert.Empty(friends.Intersect(["NpmMirror.MongoDB", "NpmMirror.Postgres", "NpmMirror.Redis", "NpmMirror.S3", "NpmMirror.Search", "NpmMirror.Sqlite"]));
    }
}
