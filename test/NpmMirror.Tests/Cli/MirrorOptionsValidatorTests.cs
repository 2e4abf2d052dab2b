using NpmMirror.Options;

namespace NpmMirror.Tests.Cli;

/// <summary>Each message names the option, its fault and a right value.</summary>
public sealed class MirrorOptionsValidatorTests
{
    public static TheoryData<string, Action<MirrorOptions>> Faults => new()
    {
        { "upstream is “registry.example.org”, which is no web address", options => options.Upstream = "registry.example.org" },
        { "feed is “maybe”; give auto, none or", options => options.Feed = "maybe" },
        { "feed is empty", options => options.Feed = " " },
        { "listen is “mirror:port”: give an address and a port", options => options.Listen = "mirror:port" },
        { "listen is “99999”: give an address and a port", options => options.Listen = "99999" },
        { "listen is “::1:4873”: give an address and a port", options => options.Listen = "::1:4873" },
        { "listen is “http://127.0.0.1:4873/npm”", options => options.Listen = "http://127.0.0.1:4873/npm" },
        { "belongs into publicUrl or allowedHosts", options => options.Listen = "http://npm.example.org:80" },
        { "take http://127.0.0.1:0", options => options.Listen = "http://localhost:0" },
        { "mount is “npm”", options => options.Mount = "npm" },
        { "mount is “/npm/”", options => options.Mount = "/npm/" },
        { "mount is “/a/../b”", options => options.Mount = "/a/../b" },
        { "mount is “/-”", options => options.Mount = "/-" },
        { "publicUrl is “npm.example.org”", options => options.PublicUrl = "npm.example.org" },
        { "publicUrl is “https://npm.example.org/?x”", options => options.PublicUrl = "https://npm.example.org/?x" },
        { "allowedHosts has “http://npm.example.org”", options => options.AllowedHosts.Add("http://npm.example.org") },
        { "tarballHosts has “a/b”", options => options.TarballHosts.Add("a/b") },
        { "trustedProxies has “proxy.example.org”", options => options.TrustedProxies.Add("proxy.example.org") },
        { "concurrency is 257, which is out of range; give a whole number, from 1 to 256.", options => options.Concurrency = 257 },
        { "pollDelay is 0s, which is out of range; give a duration", options => options.PollDelay = TimeSpan.Zero },
        { "packumentMaxBytes is 10, which is out of range; give a number of bytes", options => options.PackumentMaxBytes = 10 },
        { "list is given, but metadata does not ask for it", options => options.List.Add("express") },
        { "metadata is listed+used, but list is empty", options => options.Metadata = MetadataMode.ListedUsed },
        { "last_seq is not a sequence", options => options.LastSeq = "" },
        { "couch.host is missing", options => options.Couch.Port = 5984 },
        { "feed and couch.host are both given", options => (options.Feed, options.Couch.Host) = ("none", "couch.example.org") },
        { "revalidate is given together with a feed", options => (options.Feed, options.Revalidate) = ("https://couch.example.org/npm", TimeSpan.FromHours(1)) },
        { "store.engine and store.module are both given", options => (options.Store.Engine, options.Store.Module) = ("Memory", "x.dll") },
    };

    [Theory]
    [MemberData(nameof(Faults), DisableDiscoveryEnumeration = true)]
    public void Tells_the_fault(string fault, Action<MirrorOptions> set)
    {
        var options = new MirrorOptions();
        set(options);
        Assert.Contains(MirrorOptionsValidator.FindFaults(options), told => told.Contains(fault, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("@nowhere.txt", "there is no file “nowhere.txt”")]
    [InlineData("a b", "which is no package name")]
    public void Tells_the_fault_of_an_entry_of_the_list(string entry, string fault)
    {
        var options = new MirrorOptions { Metadata = MetadataMode.Listed };
        options.List.Add(entry);
        Assert.Single(MirrorOptionsValidator.FindFaults(options), told => told.Contains(fault, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("http://127.0.0.1:0")]
    [InlineData("http://*:80")]
    [InlineData("http://[::1]:4873")]
    [InlineData("http://localhost:4873/")]
    public void Takes_every_way_to_write_an_address_of_this_machine(string listen) =>
        Assert.Empty(MirrorOptionsValidator.FindFaults(new MirrorOptions { Listen = listen }));

    [Claim("`listen` accepts the usual short forms, and a line tells which machines reach the address",
        With =
        [
            $"{nameof(ServeTests)}.{nameof(ServeTests.Says_which_machines_reach_it)}",
            $"{nameof(ReachLineTests)}.{nameof(ReachLineTests.Tells_from_where_an_address_is_reached)}",
            $"{nameof(ReachLineTests)}.{nameof(ReachLineTests.Every_address_is_shown_as_one_that_can_be_opened)}",
            $"{nameof(ReachLineTests)}.{nameof(ReachLineTests.A_public_address_is_the_one_that_clients_use)}",
        ],
        Red = "`ListenAddress` does not know a port alone: the first two were red; `ReachLine` takes every address for this machine's alone: the fourth; it does not look at `publicUrl`: the last")]
    [Theory]
    [InlineData("4990", "http://127.0.0.1:4990")]
    [InlineData("0", "http://127.0.0.1:0")]
    [InlineData(":4990", "http://*:4990")]
    [InlineData("*:4990", "http://*:4990")]
    [InlineData("0.0.0.0:4990", "http://0.0.0.0:4990")]
    [InlineData("localhost:4990", "http://localhost:4990")]
    [InlineData("[::1]:4990", "http://[::1]:4990")]
    [InlineData("0.0.0.0", "http://0.0.0.0:4873")]
    [InlineData("http://[::]:80", "http://[::]:80")]
    public void Takes_the_short_forms_of_an_address(string given, string listen)
    {
        var options = new MirrorOptions { Listen = given };
        Assert.Equal(listen, options.Listen);
        Assert.Empty(MirrorOptionsValidator.FindFaults(options));
    }

    [Fact]
    public void Tells_no_secret_of_an_address() =>
        Assert.DoesNotContain("s3cr3t", string.Concat(MirrorOptionsValidator.FindFaults(new MirrorOptions { Upstream = "ftp://me:s3cr3t@registry.example.org", Feed = "x://me:s3cr3t@y" })), StringComparison.Ordinal);
}
