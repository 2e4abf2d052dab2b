using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using NpmMirror.NpmSettings;
using NpmMirror.Tests.Upstream;

namespace NpmMirror.Tests.NpmSettings;

public sealed class NpmConfigTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("npm-mirror-config-");

    public void Dispose() => _folder.Delete(recursive: true);

    [Claim("The upstream's address: given, environment, user's and global npmrc, npm itself; npm missing is one sentence",
        With = [nameof(The_environment_beats_the_files_in_any_case), nameof(The_users_file_beats_the_global_one), nameof(Npm_itself_is_asked_last)],
        Red = "the given one is not looked at: the first was red; the user's file beats the environment: the second; the layers are asked from the last: the third")]
    [Fact]
    public async Task An_upstream_given_beats_everything()
    {
        var config = Load(user: "registry=https://registry.example.org/user/", environment: [("npm_config_registry", "https://registry.example.org/env/")]);
        Assert.Equal("https://registry.example.org/given", (await FindAsync(config, "https://registry.example.org/given/")).AbsoluteUri);
    }

    [Theory]
    [InlineData("npm_config_registry")]
    [InlineData("NPM_CONFIG_REGISTRY")]
    [InlineData("npm_config_Registry")]
    public async Task The_environment_beats_the_files_in_any_case(string name)
    {
        var config = Load(user: "registry=https://registry.example.org/user/", environment: [(name, "https://registry.example.org/env/")]);
        Assert.Equal("https://registry.example.org/env", (await FindAsync(config)).AbsoluteUri);
    }

    [Fact]
    public async Task The_users_file_beats_the_global_one()
    {
        Assert.Equal("https://registry.example.org/user", (await FindAsync(Load(user: "registry = https://registry.example.org/user", global: "registry=https://registry.example.org/global/"))).AbsoluteUri);
        Assert.Equal("https://registry.example.org/global", (await FindAsync(Load(global: "registry=https://registry.example.org/global/"))).AbsoluteUri);
    }

    [Fact]
    public async Task Npm_itself_is_asked_last()
    {
        var asked = Load(npm: "https://registry.example.org/default/");
        Assert.Equal("https://registry.example.org/default", (await FindAsync(asked)).AbsoluteUri);
        var failure = await Assert.ThrowsAsync<MirrorException>(() => FindAsync(Load(npm: null)));
        Assert.Equal(MirrorFault.Configuration, failure.Fault);
        Assert.Contains("--upstream", failure.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("undefined")]
    [InlineData("registry.example.org")]
    [InlineData("ftp://registry.example.org/")]
    [InlineData("")]
    public async Task A_text_that_is_no_address_is_refused(string registry) =>
        Assert.Equal(MirrorFault.Configuration, (await Assert.ThrowsAsync<MirrorException>(() => FindAsync(Load(npm: registry)))).Fault);

    [Fact]
    public async Task A_npm_that_hangs_is_given_up()
    {
        Assert.SkipUnless(File.Exists("/bin/sh"), "Needs a Unix shell.");
        var npm = Script("#!/bin/sh\nsleep 100");
        var clock = new FakeClock();
        var asking = NpmSurroundings.AskAsync(npm, "registry", TimeSpan.FromSeconds(30), clock, TestContext.Current.CancellationToken);
        await Eventually.Async(() => clock.Waiting > 0);
        clock.Advance(TimeSpan.FromSeconds(31));
        Assert.Contains("did not answer", (await Assert.ThrowsAsync<MirrorException>(() => asking)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_npm_that_answers_is_heard_and_a_missing_one_is_none()
    {
        Assert.SkipUnless(File.Exists("/bin/sh"), "Needs a Unix shell.");
        var npm = Script("#!/bin/sh\necho noise >&2\necho \"$1 $2 $3\"");
        Assert.Equal("config get registry", await NpmSurroundings.AskAsync(npm, "registry", TimeSpan.FromSeconds(30), TimeProvider.System, TestContext.Current.CancellationToken));
        Assert.Null(await NpmSurroundings.AskAsync(Path.Combine(_folder.FullName, "no-npm"), "registry", TimeSpan.FromSeconds(30), TimeProvider.System, TestContext.Current.CancellationToken));
    }

    [Claim("Credentials without a host are those of npm's own registry, of no other",
        Red = "NpmConfig.ReadCredentials takes the upstream in place of the registry setting")]
    [Theory]
    [InlineData("//registry.example.org/:_authToken=t1", "Bearer t1")]
    [InlineData("//registry.example.org/npm/:_authToken=\"t2\"", "Bearer t2")]
    [InlineData("//registry.example.org/npm/:_auth=YTpi", "Basic YTpi")]
    [InlineData("//registry.example.org/:username=a\n//registry.example.org/:_password=Yg==", "Basic YTpi")]
    [InlineData("//registry.example.org/:_authToken=${TOKEN}", "Bearer from-environment")]
    [InlineData("//registry.example.org/:_authToken=outer\n//registry.example.org/npm/:_authToken=inner", "Bearer inner")]
    [InlineData("//registry.example.org/other/:_authToken=t", null)]
    [InlineData("//other.example.org/:_authToken=t", null)]
    [InlineData("//registry.example.org:8080/:_authToken=t", null)]
    [InlineData("registry=https://registry.example.org/npm/\n_authToken=legacy", "Bearer legacy")]
    [InlineData("registry=https://other.example.org/\n_authToken=of-another", null)]
    [InlineData("; //registry.example.org/:_authToken=t", null)]
    public void Credentials_are_those_of_the_longest_prefix(string npmrc, string? expected)
    {
        var upstream = new Uri("https://registry.example.org/npm");
        var options = Load(user: npmrc, environment: [("TOKEN", "from-environment")]).ToClientOptions(upstream);
        Assert.Equal(expected, options.Credentials.HeaderFor(new Uri("https://registry.example.org/npm/express")));
    }

    [Claim("Secrets are not printed",
        With = [$"{nameof(TransportTests)}.{nameof(TransportTests.User_and_password_in_the_address_are_credentials_and_no_part_of_it)}"],
        Red = "`RegistryCredentials.ToString` tells what it has; `UpstreamTransport.BaseUrl` keeps user and password")]
    [Fact]
    public void Secrets_are_not_printed()
    {
        var options = Load(user: "//registry.example.org/:_authToken=s3cret\nproxy=http://user:s3cret@proxy.example.org:3128").ToClientOptions(new Uri("https://registry.example.org/"));
        Assert.DoesNotContain("s3cret", options.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain("s3cret", options.Credentials.ToString(), StringComparison.Ordinal);
        var failure = Assert.Throws<MirrorException>(() => Load(user: "proxy=ftp://user:s3cret@proxy.example.org").ToClientOptions(new Uri("https://registry.example.org/")));
        Assert.DoesNotContain("s3cret", failure.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("https-proxy=http://one:1", null, "http://one:1/")]
    [InlineData("proxy=http://one:1", null, "http://one:1/")]
    [InlineData("", "http://two:2", "http://two:2/")]
    [InlineData("https-proxy=http://one:1", "http://two:2", "http://one:1/")]
    [InlineData("proxy=false", "http://two:2", null)]
    [InlineData("https-proxy=http://one:1\nnoproxy=example.com,example.org", null, null)]
    [InlineData("https-proxy=http://one:1\nnoproxy=.org", null, null)]
    [InlineData("https-proxy=http://one:1\nnoproxy=ample.org", null, "http://one:1/")]
    [InlineData("https-proxy=http://one:1\nnoproxy=registry.example.org:444", null, "http://one:1/")]
    [InlineData("https-proxy=http://one:1\nnoproxy=registry.example.org:443", null, null)]
    [InlineData("https-proxy=http://user:pw@one:1", null, "http://one:1/")]
    public void The_proxy_is_npms_else_the_environments(string npmrc, string? httpsProxy, string? expected)
    {
        var upstream = new Uri("https://registry.example.org/");
        var proxy = Load(user: npmrc, environment: httpsProxy is null ? [] : [("HTTPS_PROXY", httpsProxy)]).ToClientOptions(upstream).Proxy;
        Assert.Equal(expected, proxy?.GetProxy(upstream)?.AbsoluteUri);
        Assert.Null(proxy?.GetProxy(new Uri("http://127.0.0.1:5984/")));
    }

    [Fact]
    public void No_proxy_of_the_environment_counts()
    {
        var options = Load(environment: [("https_proxy", "http://two:2"), ("no_proxy", "localhost, .example.org")]).ToClientOptions(new Uri("https://registry.example.org/"));
        Assert.True(options.Proxy!.IsBypassed(new Uri("https://registry.example.org/")));
        Assert.False(options.Proxy.IsBypassed(new Uri("https://registry.example.net/")));
    }

    [Theory]
    [InlineData("cafile=/nowhere/ca.pem", "cafile")]
    [InlineData("ca=no certificate", "ca")]
    [InlineData("//registry.example.org/:username=a\n//registry.example.org/:_password=not base64", "_password")]
    public void An_unusable_setting_is_told_in_one_sentence(string npmrc, string setting)
    {
        var failure = Assert.Throws<MirrorException>(() => Load(user: npmrc).ToClientOptions(new Uri("https://registry.example.org/")));
        Assert.Equal(MirrorFault.Configuration, failure.Fault);
        Assert.Contains(setting, failure.Message, StringComparison.Ordinal);
    }

    [Claim("Keys below a section of an npmrc do not count",
        Red = "`NpmrcFile` reads on after a section")]
    [Theory]
    [InlineData("registry=https://registry.example.org/\n[section]\nregistry=https://evil.example.org/\n")]
    [InlineData("registry=https://registry.example.org/\r\n[section]  \r\nregistry=https://evil.example.org/\r\n[]\r\nregistry=https://evil.example.org/\r\n")]
    [InlineData("registry=https://evil.example.org/\n [no section]\nregistry=https://registry.example.org/\n[a.b]\n//registry.example.org/:_authToken=stray\n")]
    [InlineData("[not=a section\nregistry=https://registry.example.org/\n")]
    public async Task Keys_below_a_section_do_not_count(string npmrc)
    {
        var config = Load(user: npmrc);
        Assert.Equal("https://registry.example.org/", (await FindAsync(config)).AbsoluteUri);
        Assert.Null(config.ToClientOptions(new Uri("https://registry.example.org/")).Credentials.HeaderFor(new Uri("https://registry.example.org/x")));
    }

    [Fact]
    public void A_client_certificate_belongs_to_its_host()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var now = TimeProvider.System.GetUtcNow();
        using var made = new CertificateRequest("CN=client", key, HashAlgorithmName.SHA256).CreateSelfSigned(now.AddDays(-1), now.AddDays(1));
        var (certificate, keyFile) = (Path.Combine(_folder.FullName, "client.pem"), Path.Combine(_folder.FullName, "client.key"));
        File.WriteAllText(certificate, made.ExportCertificatePem());
        File.WriteAllText(keyFile, key.ExportPkcs8PrivateKeyPem());
        var options = Load(user: $"//registry.example.org/npm/:certfile={certificate}\n//registry.example.org/npm/:keyfile={keyFile}\n//other.example.org/:_authToken=t").ToClientOptions(new Uri("https://registry.example.org/"));
        var (host, read) = Assert.Single(options.ClientCertificates);
        Assert.Equal(("registry.example.org", made.Thumbprint, true), (host, read.Thumbprint, read.HasPrivateKey));
    }

    [Theory]
    [InlineData("//registry.example.org/:certfile=/nowhere/c.pem", "certfile without keyfile")]
    [InlineData("//registry.example.org/:keyfile=/nowhere/k.pem", "keyfile without certfile")]
    [InlineData("//registry.example.org/:certfile=/nowhere/c.pem\n//registry.example.org/:keyfile=/nowhere/k.pem", "name /nowhere/c.pem and /nowhere/k.pem")]
    public void A_client_certificate_that_is_unusable_is_told(string npmrc, string part)
    {
        var failure = Assert.Throws<MirrorException>(() => Load(user: npmrc).ToClientOptions(new Uri("https://registry.example.org/")));
        Assert.Equal(MirrorFault.Configuration, failure.Fault);
        Assert.Contains(part, failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Files_are_read_as_npm_reads_them()
    {
        var settings = NpmrcFile.Parse("\uFEFF; comment\n# comment\n a = 1 ; behind \nflag\nca[]=\"one\\ntwo\"\r\nca[]=three\nq='x;y'\nescaped=a\\;b\nunknown=${NOBODY}\nkept=${NOBODY-else}\n", _ => null);
        Assert.Equal(
            [("a", "1"), ("flag", "true"), ("ca", "one\ntwo"), ("ca", "three"), ("q", "x;y"), ("escaped", "a;b"), ("unknown", "${NOBODY}"), ("kept", "${NOBODY-else}")],
            settings.Select(setting => (setting.Key, setting.Value)));
    }

    [Claim("Variables in an npmrc are read as npm reads them, with backslashes before them, and unset ones too")]
    [Theory]
    [InlineData("${A}", "aa")]
    [InlineData("${A?}", "aa")]
    [InlineData("${NOPE}", "${NOPE}")]
    [InlineData("${NOPE?}", "")]
    [InlineData("${NOPE-}", "${NOPE-}")]
    [InlineData("${NOPE:-x}", "${NOPE:-x}")]
    [InlineData("${A-x}", "${A-x}")]
    [InlineData("${A:x}", "${A:x}")]
    [InlineData("\\${A}", "${A}")]
    [InlineData("x\\${NOPE}", "x${NOPE}")]
    [InlineData("\\\\${A}", "${A}")]
    [InlineData("\\\\\\${A}", "\\aa")]
    [InlineData("${A}-${NOPE?}-${A}", "aa--aa")]
    public void Variables_are_read_as_npm_reads_them(string written, string read)
    {
        // The output of npm 11 for a file with this line.
        var setting = Assert.Single(NpmrcFile.Parse($"tag={written}\n", name => name == "A" ? "aa" : null));
        Assert.Equal(read, setting.Value);
    }

    private static Task<Uri> FindAsync(NpmConfig config, string? given = null) => config.FindUpstreamAsync(given, TestContext.Current.CancellationToken);

    private NpmConfig Load(string user = "", string global = "", (string Name, string Value)[]? environment = null, string? npm = null)
    {
        File.WriteAllText(Path.Combine(_folder.FullName, ".npmrc"), user);
        var etc = _folder.CreateSubdirectory("etc");
        File.WriteAllText(Path.Combine(etc.FullName, "npmrc"), global);
        var variables = (environment ?? []).ToDictionary(variable => variable.Name, variable => variable.Value);
        return NpmConfig.Load(new NpmSurroundings
        {
            Variable = variables.GetValueOrDefault,
            VariableNames = [.. variables.Keys],
            HomeFolder = _folder.FullName,
            Prefix = _folder.FullName,
            AskNpmAsync = (_, _) => Task.FromResult(npm),
        });
    }

    private string Script(string text)
    {
        var path = Path.Combine(_folder.FullName, "npm");
        File.WriteAllText(path, text, new UTF8Encoding(false));
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }

        return path;
    }
}
