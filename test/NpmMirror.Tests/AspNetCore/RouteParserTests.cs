using NpmMirror.AspNetCore.Routing;

namespace NpmMirror.Tests.AspNetCore;

public sealed class RouteParserTests
{
    private static readonly RouteParser AtNpm = new(["/npm"]);
    private static readonly RouteParser AtRoot = new(["/"]);

    [Claim("Names are found in every spelling, and other texts are no names",
        With = [nameof(Names_nothing_by_a_text_that_is_no_name)],
        Red = "a slash in a file name is let through: the last was red")]
    [Theory]
    [InlineData("/npm/express", "express")]
    [InlineData("/npm/express/", "express")]
    [InlineData("/npm//express", "express")]
    [InlineData("//npm/express", "express")]
    [InlineData("/npm/express?write=true", "express")]
    [InlineData("http://127.0.0.1:4873/npm/express", "express")]
    [InlineData("/npm/@types/node", "@types/node")]
    [InlineData("/npm/@types%2fnode", "@types/node")]
    [InlineData("/npm/@types%2Fnode", "@types/node")]
    [InlineData("/npm/%40types%2Fnode", "@types/node")]
    [InlineData("/npm/%40types/node", "@types/node")]
    [InlineData("/npm/JSONStream", "JSONStream")]
    [InlineData("/npm/-", "-")]
    [InlineData("/npm/--hiljson", "--hiljson")]
    [InlineData("/npm/...", "...")]
    [InlineData("/npm/_id", "_id")]
    [InlineData("/npm/metrics", "metrics")]
    [InlineData("/npm/health", "health")]
    [InlineData("/npm/%E6%97%A5%E6%9C%AC", "日本")]
    public void Finds_the_package_in_every_spelling(string target, string name) =>
        Assert.Equal(new RegistryRoute.Packument(PackageName.Parse(name)), AtNpm.Parse(target, out _));

    [Theory]
    [InlineData("/npm/express/-/express-1.0.0.tgz", "express", "express-1.0.0.tgz")]
    [InlineData("/npm/@types/node/-/node-1.0.0.tgz", "@types/node", "node-1.0.0.tgz")]
    [InlineData("/npm/@types%2fnode/-/node-1.0.0.tgz", "@types/node", "node-1.0.0.tgz")]
    [InlineData("/npm/@types%2Fnode/-/node-1.0.0.tgz", "@types/node", "node-1.0.0.tgz")]
    [InlineData("/npm/@types/node/-/@types/node-1.0.0.tgz", "@types/node", "node-1.0.0.tgz")]
    [InlineData("/npm/@types%2fnode/-/@types%2fnode-1.0.0.tgz", "@types/node", "node-1.0.0.tgz")]
    [InlineData("/npm/@types/node/-/@types%2Fnode-1.0.0.tgz", "@types/node", "node-1.0.0.tgz")]
    [InlineData("/npm/@types%2fnode/-/%40types%2fnode-1.0.0.tgz", "@types/node", "node-1.0.0.tgz")]
    [InlineData("/npm/a/-/a-1.0.0%2Bbuild.tgz", "a", "a-1.0.0+build.tgz")]
    [InlineData("/npm/-/-/--1.0.0.tgz", "-", "--1.0.0.tgz")]
    [InlineData("/npm/a/-/..tgz", "a", "..tgz")]
    public void Finds_the_tarball_in_every_spelling(string target, string name, string file) =>
        Assert.Equal(new RegistryRoute.Tarball(PackageName.Parse(name), file), AtNpm.Parse(target, out _));

    [Theory]
    [InlineData("/npm/express/4.0.0", "express", "4.0.0")]
    [InlineData("/npm/@types%2fnode/latest", "@types/node", "latest")]
    [InlineData("/npm/@types/node/latest", "@types/node", "latest")]
    [InlineData("/npm/express/%5E3.0.0", "express", "^3.0.0")]
    [InlineData("/npm/-/1.0.0", "-", "1.0.0")]
    public void Finds_versions_and_tags(string target, string name, string version) =>
        Assert.Equal(new RegistryRoute.Manifest(PackageName.Parse(name), version), AtNpm.Parse(target, out _));

    [Theory]
    [InlineData("/npm", typeof(RegistryRoute.Info))]
    [InlineData("/npm/", typeof(RegistryRoute.Info))]
    [InlineData("/npm?x", typeof(RegistryRoute.Info))]
    [InlineData("/npm/_changes?since=0", typeof(RegistryRoute.Changes))]
    [InlineData("/npm/_all_docs", typeof(RegistryRoute.AllDocs))]
    [InlineData("/npm/_local/x", typeof(RegistryRoute.NotFound))]
    [InlineData("/npm/-/ping?write=true", typeof(RegistryRoute.Ping))]
    [InlineData("/npm/-/all", typeof(RegistryRoute.All))]
    [InlineData("/npm/-/whoami", typeof(RegistryRoute.Account))]
    [InlineData("/npm/-/log/head", typeof(RegistryRoute.LogHead))]
    [InlineData("/npm/-/log/17", typeof(RegistryRoute.LogAt))]
    [InlineData("/npm/-/v1/search?text=a", typeof(RegistryRoute.Search))]
    [InlineData("/npm/-/npm/v1/keys", typeof(RegistryRoute.Keys))]
    [InlineData("/npm/-/npm/v1/security/advisories/bulk", typeof(RegistryRoute.Advisories))]
    [InlineData("/npm/-/npm/v1/security/audits/quick", typeof(RegistryRoute.RetiredAudit))]
    [InlineData("/npm/-/user/org.couchdb.user:x", typeof(RegistryRoute.Publishing))]
    [InlineData("/npm/-/at/2020", typeof(RegistryRoute.NotFound))]
    [InlineData("/npm/express/-rev/1-x", typeof(RegistryRoute.Publishing))]
    [InlineData("/", typeof(RegistryRoute.Home))]
    [InlineData("/health/live", typeof(RegistryRoute.Live))]
    [InlineData("/health/ready", typeof(RegistryRoute.Ready))]
    [InlineData("/metrics", typeof(RegistryRoute.Metrics))]
    [InlineData("/api/ping", typeof(RegistryRoute.ApiPing))]
    [InlineData("/express", typeof(RegistryRoute.OutsideMount))]
    [InlineData("/NPM/express", typeof(RegistryRoute.OutsideMount))]
    [InlineData("/npmx/express", typeof(RegistryRoute.OutsideMount))]
    public void Knows_its_own_paths(string target, Type route) => Assert.IsType(route, AtNpm.Parse(target, out _));

    [Theory]
    [InlineData("/", typeof(RegistryRoute.Info))]
    [InlineData("/express", typeof(RegistryRoute.Packument))]
    [InlineData("/health", typeof(RegistryRoute.Packument))]
    [InlineData("/metrics", typeof(RegistryRoute.Packument))]
    [InlineData("/health/live", typeof(RegistryRoute.Manifest))]
    [InlineData("/-/health/live", typeof(RegistryRoute.Live))]
    [InlineData("/-/metrics", typeof(RegistryRoute.Metrics))]
    [InlineData("/-/api/ping", typeof(RegistryRoute.ApiPing))]
    public void Leaves_every_name_to_packages_when_mounted_at_the_root(string target, Type route) => Assert.IsType(route, AtRoot.Parse(target, out _));

    [Theory]
    [InlineData("/npm/-/package/express/dist-tags", "express")]
    [InlineData("/npm/-/package/@types%2fnode/dist-tags", "@types/node")]
    [InlineData("/npm/-/package/@types/node/dist-tags", "@types/node")]
    public void Finds_the_tags(string target, string name) =>
        Assert.Equal(new RegistryRoute.DistTags(PackageName.Parse(name)), AtNpm.Parse(target, out _));

    [Theory]
    [InlineData("/npm/-/npm/v1/attestations/sigstore@2.0.0", "sigstore", "2.0.0")]
    [InlineData("/npm/-/npm/v1/attestations/@sigstore%2fbundle@2.0.0", "@sigstore/bundle", "2.0.0")]
    [InlineData("/npm/-/npm/v1/attestations/@sigstore/bundle@2.0.0", "@sigstore/bundle", "2.0.0")]
    public void Finds_the_attestations(string target, string name, string version) =>
        Assert.Equal(new RegistryRoute.Attestations(PackageName.Parse(name), version), AtNpm.Parse(target, out _));

    [Theory]
    [InlineData("/npm/..")]
    [InlineData("/npm/../etc/passwd")]
    [InlineData("/npm/%2e%2e")]
    [InlineData("/npm/%2e%2e%2fetc")]
    [InlineData("/npm/.")]
    [InlineData("/npm/@types")]
    [InlineData("/npm/@types/..")]
    [InlineData("/npm/@types%2f..")]
    [InlineData("/npm/@types%2f%2e%2e")]
    [InlineData("/npm/@/node")]
    [InlineData("/npm/express%2f-%2fexpress-1.0.0.tgz")]
    [InlineData("/npm/express/-")]
    [InlineData("/npm/express/-/")]
    [InlineData("/npm/express/-/..%2fpasswd")]
    [InlineData("/npm/express/-/a/b.tgz")]
    [InlineData("/npm/express/1.0.0/extra")]
    [InlineData("/npm/a%20b")]
    [InlineData("/npm/a%25b")]
    [InlineData("/npm/a%3fb")]
    [InlineData("/npm/_design/app")]
    [InlineData("/npm/-/npm/v1/attestations/sigstore")]
    [InlineData("/npm/-/npm/v1/attestations/..@1.0.0")]
    [InlineData("/npm/-/package/../dist-tags")]
    public void Names_nothing_by_a_text_that_is_no_name(string target)
    {
        var route = AtNpm.Parse(target, out _);
        // Everything else names a package, and would be looked up by it.
        Assert.True(route is RegistryRoute.NotFound or RegistryRoute.Publishing or RegistryRoute.Manifest { VersionOrTag: "app" }, route.ToString());
    }

    [Theory]
    [InlineData("/npm/a%00b")]
    [InlineData("/npm/a\0b")]
    [InlineData("/npm/a%0d%0ab")]
    [InlineData("/npm/a%")]
    [InlineData("/npm/a%2")]
    [InlineData("/npm/a%zz")]
    [InlineData("/npm/a%c3")]
    [InlineData("/npm/%ed%a0%80")]
    [InlineData("/npm/a\\b")]
    [InlineData("/npm/a%5cb")]
    [InlineData("/npm/\u00e9")]
    [InlineData("*")]
    [InlineData("127.0.0.1:443")]
    [InlineData("")]
    public void Refuses_a_text_that_is_no_path(string target) =>
        Assert.Equal(400, Assert.IsType<RegistryRoute.Malformed>(AtNpm.Parse(target, out _)).Status);

    [Fact]
    public void Refuses_paths_longer_than_any_name() =>
        Assert.Equal(414, Assert.IsType<RegistryRoute.Malformed>(AtNpm.Parse("/npm/" + new string('a', 4000), out _)).Status);

    [Fact]
    public void Tells_under_which_mount_a_path_is()
    {
        var several = new RouteParser(["/", "/npm", "/npm/inner"]);
        several.Parse("/npm/inner/express", out var inner);
        several.Parse("/npm/express", out var npm);
        several.Parse("/express", out var root);
        Assert.Equal(("/npm/inner", "/npm", ""), (inner, npm, root));
    }
}
