using System.Security.Cryptography;

namespace NpmMirror.Tests.Clients;

/// <summary>Real package managers install a project through the mirror, and again when the registry is gone.</summary>
[Collection("Clients")]
public sealed class InstallTests
{
    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public static TheoryData<string> Clients => new(PackageClient.All.Select(client => client.Tool));

    [Claim("npm, pnpm 10 and 12, yarn 1, berry and bun install scoped, prerelease, optional-platform, deprecated and sha1-only packages through the mirror from a cold cache, and again with a dead upstream; the lockfile has the upstream's promises; each tarball of it passed the mirror once, and no other")]
    [Theory]
    [MemberData(nameof(Clients))]
    public async Task Installs_through_the_mirror_and_again_when_the_upstream_is_gone(string tool)
    {
        await using var bench = await ClientBench.StartAsync(tool, Cancelled);
        bench.Sandbox.WriteManifest(ClientPackages.Dependencies);

        await bench.InstallAsync(isFrozen: false, Cancelled);
        AssertInstalled(bench);
        var lockfile = bench.Sandbox.ReadProject(bench.Client.LockFile);

        await bench.GoOfflineAsync(Cancelled);
        foreach (var isFrozen in new[] { false, true })
        {
            bench.Relay.Forget();
            bench.Sandbox.Cool(keepsLock: isFrozen, bench.Client.LockFile);
            await bench.InstallAsync(isFrozen, Cancelled);
            AssertInstalled(bench);
            Assert.Equal(lockfile, bench.Sandbox.ReadProject(bench.Client.LockFile));
        }
    }

    /// <summary>All packages are there, the lockfile has the upstream's promises, and each tarball in it passed the mirror once and unchanged, and no other.</summary>
    private static void AssertInstalled(ClientBench bench)
    {
        Assert.Equal(
            ("1.2.0", "1.0.0", "1.1.0", "2.0.0-beta.1", "1.0.0", "0.1.0"),
            (Installed("@scope/tool"), Installed("@scope/native-linux"), Installed("plain"), Installed("early"), Installed("retired"), Installed("ancient")));

        var locked = bench.Client.ReadLock(bench.Sandbox.ReadProject(bench.Client.LockFile));
        Assert.Equal([.. ClientPackages.ForThisMachine, .. bench.Client.FetchesForeignPlatforms ? [ClientPackages.Foreign] : Array.Empty<string>()], locked.Keys.ToHashSet());
        Assert.All(locked.Where(entry => entry.Value.Length > 0), entry => Assert.Equal(ClientPackages.Promised(bench.Upstream, entry.Key), entry.Value));
        Assert.Equal(locked.Keys.Select(id => "/npm" + ClientPackages.TarballPath(id)).Order(StringComparer.Ordinal), bench.Relay.Tarballs.Select(tarball => tarball.Path).Order(StringComparer.Ordinal));
        Assert.All(bench.Relay.Tarballs, tarball => Assert.Equal(Integrity(bench.Upstream.Tarballs[tarball.Path["/npm".Length..]]), tarball.Integrity));

        // pnpm keeps packages that were not requested by name one level below.
        string? Installed(string name) => bench.Sandbox.Installed(name) ?? bench.Sandbox.Installed($".pnpm/{name.Replace('/', '+')}@1.0.0/node_modules/{name}");
    }

    private static string Integrity(byte[] tarball) => "sha512-" + Convert.ToBase64String(SHA512.HashData(tarball));
}
