using NpmMirror.Options;

namespace NpmMirror.Tests;

public sealed class MirrorOptionsTests
{
    [Claim("A5 options and their defaults; couch.* builds the feed's address; store as an instance, an engine or a module, both are a clear error",
        With =
        [
            $"{nameof(Cli.SettingsTests)}.{nameof(Cli.SettingsTests.Couch_parts_build_the_address_of_the_feed)}",
            $"{nameof(Hosting.MirrorTests)}.{nameof(Hosting.MirrorTests.A_store_of_the_callers_stays_open_and_wrong_options_are_told_at_once)}",
            $"{nameof(Storage.MetadataEnginesTests)}.{nameof(Storage.MetadataEnginesTests.Refuses_engine_and_module_together)}",
            $"{nameof(Storage.MetadataEnginesTests)}.{nameof(Storage.MetadataEnginesTests.Says_which_engines_there_are)}",
            $"{nameof(Upstream.BackoffTests)}.{nameof(Upstream.BackoffTests.The_first_wait_is_never_shorter_than_the_first_step)}",
        ],
        Red = "`Backoff` waits between half a step and one: the last was red")]
    [Fact]
    public void The_defaults_are_those_of_the_older_tool()
    {
        var options = new MirrorOptions();
        Assert.Equal((0, null, 10, FeedMode.Longpoll), (options.Delay, options.LastSeq, options.Concurrency, options.Mode));
        Assert.Equal((TimeSpan.FromSeconds(15), MetadataMode.Used, TarballMode.OnDemand, false), (options.PollDelay, options.Metadata, options.Tarballs, options.PublishOnly));
    }

    [Claim("`publicUrl` is told in the form in which clients compare addresses; a default port of the other scheme, which comes only in `Host`, is no part of an address whose scheme a proxy tells",
        With = [$"{nameof(AspNetCore.HostTests)}.{nameof(AspNetCore.HostTests.A_trusted_proxy_tells_port_and_scheme_in_every_form)}"])]
    [Theory]
    [InlineData("https://npm.example.org:443/npm/", "https://npm.example.org/npm/")]
    [InlineData("http://npm.example.org:80/npm", "http://npm.example.org/npm")]
    [InlineData("HTTPS://NPM.Example.org/Npm/A%20b", "https://npm.example.org/Npm/A%20b")]
    [InlineData("Https://NPM.example.org:0443", "https://npm.example.org")]
    [InlineData("https://npm.example.org:80/npm", "https://npm.example.org:80/npm")]
    [InlineData("http://[2001:DB8::1]:80/npm", "http://[2001:db8::1]/npm")]
    [InlineData("http://npm.example.org:8080/npm", "http://npm.example.org:8080/npm")]
    [InlineData("https://N\u00e4he.example.org/npm", "https://xn--nhe-qla.example.org/npm")]
    [InlineData("http://b\u00fccher.example.org:8080/", "http://xn--bcher-kva.example.org:8080/")]
    [InlineData("https://XN--nhe-qla.example.org/", "https://xn--nhe-qla.example.org/")]
    [InlineData(" https://npm.example.org/npm ", "https://npm.example.org/npm")]
    [InlineData("npm.example.org", "npm.example.org")]
    [InlineData("ftp://NPM.example.org/", "ftp://NPM.example.org/")]
    [InlineData("https://User:pw@NPM.example.org:443/", "https://User:pw@NPM.example.org:443/")]
    [InlineData("https://NPM.example.org/npm?x", "https://npm.example.org/npm?x")]
    [InlineData("", "")]
    [InlineData(null, null)]
    public void The_public_address_is_spelled_as_clients_compare_it(string? written, string? kept) =>
        Assert.Equal(kept, new MirrorOptions { PublicUrl = written }.PublicUrl);
}
