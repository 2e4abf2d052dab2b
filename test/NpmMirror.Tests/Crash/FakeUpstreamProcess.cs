using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using NpmMirror.Tests.Clients;

namespace NpmMirror.Tests.Crash;

/// <summary><c>npm-mirror fake-upstream</c> in a process of its own, changed over its control address.</summary>
internal sealed class FakeUpstreamProcess : IAsyncDisposable
{
    private readonly Process _process;
    private readonly HttpClient _http = new() { Timeout = TimeSpan.FromSeconds(10) };

    private FakeUpstreamProcess(Process process, Uri url)
    {
        _process = process;
        Url = url;
    }

    public Uri Url { get; }

    public Uri Feed => new(Url, "registry/");

    public static async Task<FakeUpstreamProcess> StartAsync(int packages, string folder, CancellationToken cancellationToken)
    {
        var count = packages.ToString(CultureInfo.InvariantCulture);
        var process = TestProcess.Start([.. TestProgram.Command, "fake-upstream", "--packages", count], folder, MirrorProcess.BaseEnvironment(folder));
        var address = await process.StandardOutput.ReadLineAsync(cancellationToken).AsTask().WaitAsync(TimeSpan.FromSeconds(60), cancellationToken);
        return new FakeUpstreamProcess(process, new Uri(address ?? throw new InvalidOperationException(await process.StandardError.ReadToEndAsync(cancellationToken))));
    }

    /// <summary>Changes something: see the controls of the fake upstream.</summary>
    public async Task<JsonNode> ControlAsync(string what, JsonObject body, CancellationToken cancellationToken)
    {
        using var answer = await _http.PostAsJsonAsync(new Uri(Url, $"-/fake/{what}"), body, cancellationToken);
        answer.EnsureSuccessStatusCode();
        return (await answer.Content.ReadFromJsonAsync<JsonNode>(cancellationToken))!;
    }

    /// <summary>How many packuments are being answered at this moment.</summary>
    public async Task<int> InFlightAsync(CancellationToken cancellationToken) => (await ControlAsync("state", [], cancellationToken))["inFlight"]!.GetValue<int>();

    public async ValueTask DisposeAsync()
    {
        _http.Dispose();
        if (!_process.HasExited)
        {
            _process.Kill();
            await _process.WaitForExitAsync();
        }

        _process.Dispose();
    }
}
