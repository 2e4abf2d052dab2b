using NpmMirror.Testing;

namespace NpmMirror.Tests.Clients;

/// <summary>Everything one client test needs, wired up: upstream ← mirror (a process) ← relay ← client (in its sandbox).</summary>
internal sealed class ClientBench : IAsyncDisposable
{
    private static readonly Uri DeadUpstream = new("http://127.0.0.1:9/");
    private readonly TestFolder _data = new();
    private readonly string[] _options;
    private MirrorProcess? _mirror;

    private ClientBench(PackageClient client, FakeRegistry upstream, ClientRelay relay, string[] options)
    {
        Client = client;
        Upstream = upstream;
        Relay = relay;
        _options = options;
    }

    public PackageClient Client { get; }

    public FakeRegistry Upstream { get; }

    public ClientRelay Relay { get; }

    public ClientSandbox Sandbox { get; } = new();

    public MirrorProcess Mirror => _mirror ?? throw new InvalidOperationException("The mirror does not run.");

    /// <summary>Starts it all for one client; skips the test when that is not installed.</summary>
    public static async Task<ClientBench> StartAsync(string tool, CancellationToken cancellationToken, params string[] options)
    {
        Assert.SkipUnless(TestTools.Has(tool), TestTools.Missing(tool));
        var client = PackageClient.Named(tool);
        var upstream = await FakeRegistry.StartAsync(cancellationToken: cancellationToken);
        var bench = new ClientBench(client, upstream, await ClientRelay.StartAsync(cancellationToken), options);
        ClientPackages.PublishTo(upstream);
        client.Configure(bench.Sandbox, bench.Relay.Registry);
        bench.Sandbox.WriteManifest(new Dictionary<string, string>());
        await bench.StartMirrorAsync(upstream.Url, cancellationToken);
        return bench;
    }

    /// <summary>Stops the mirror and starts it on the same data with an upstream that is not there.</summary>
    public async Task GoOfflineAsync(CancellationToken cancellationToken)
    {
        Assert.Equal(0, await Mirror.StopAsync());
        await Mirror.DisposeAsync();
        await StartMirrorAsync(DeadUpstream, cancellationToken);
        Relay.Forget();
    }

    /// <summary>Runs the client; any exit code is returned.</summary>
    public Task<TestRun> RunAsync(CancellationToken cancellationToken, params string[] arguments) => Client.RunAsync(Sandbox, arguments, cancellationToken);

    /// <summary>Runs the client, which must succeed.</summary>
    public async Task<string> SucceedAsync(CancellationToken cancellationToken, params string[] arguments)
    {
        var run = await RunAsync(cancellationToken, arguments);
        Assert.True(run.ExitCode == 0, Tell(run));
        return run.Output;
    }

    /// <summary>Runs the client, which must fail.</summary>
    public async Task<string> FailAsync(CancellationToken cancellationToken, params string[] arguments)
    {
        var run = await RunAsync(cancellationToken, arguments);
        Assert.True(run.ExitCode != 0, Tell(run));
        return run.Output;
    }

    /// <summary>Installs the project; it must succeed.</summary>
    public Task<string> InstallAsync(bool isFrozen, CancellationToken cancellationToken) => SucceedAsync(cancellationToken, [.. Client.InstallArguments(isFrozen)]);

    public async ValueTask DisposeAsync()
    {
        if (_mirror is not null)
        {
            await _mirror.DisposeAsync();
        }

        await Relay.DisposeAsync();
        await Upstream.DisposeAsync();
        Sandbox.Dispose();
        _data.Dispose();
    }

    private string Tell(TestRun run) => $"{Client} ended with {run.ExitCode}:\n{run.Output}\nThe mirror said:\n{Mirror.Output}";

    private async Task StartMirrorAsync(Uri upstream, CancellationToken cancellationToken)
    {
        _mirror = await MirrorProcess.StartAsync(upstream, _data.Path, _options, cancellationToken: cancellationToken);
        Relay.Target = _mirror.Url;
    }
}
