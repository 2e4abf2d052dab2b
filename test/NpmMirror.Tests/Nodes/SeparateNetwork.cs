using System.Diagnostics;
using System.Globalization;
using System.Net;

namespace NpmMirror.Tests.Nodes;

/// <summary>
/// A network of its own for processes, with one link to this machine that can be cut: a network namespace and a pair of virtual interfaces. It ends with the process that
/// holds it, so nothing stays after a killed run.
/// </summary>
internal sealed class SeparateNetwork : IDisposable
{
    private static readonly Dictionary<string, string> Surroundings = new() { ["PATH"] = Environment.GetEnvironmentVariable("PATH") ?? "/usr/sbin:/usr/bin:/sbin:/bin" };
    private static int _networks;
    private readonly Process _holder;
    private readonly string _interface;

    private SeparateNetwork(Process holder, string name, int number)
    {
        (_holder, _interface) = (holder, name);
        (Host, Own) = (Address(number, 1), Address(number, 2));
    }

    /// <summary>This machine's address at the link.</summary>
    internal IPAddress Host { get; }

    /// <summary>The address of processes inside.</summary>
    internal IPAddress Own { get; }

    /// <summary>What starts a program inside.</summary>
    internal string[] Wrapper => ["nsenter", "--net", "--target", _holder.Id.ToString(CultureInfo.InvariantCulture), "--"];

    /// <summary>Makes one; the test is skipped where that is not allowed.</summary>
    internal static async Task<SeparateNetwork> CreateAsync()
    {
        Assert.SkipUnless(TestTools.Has("ip"), TestTools.Missing("ip"));
        var number = Interlocked.Increment(ref _networks);
        var name = string.Create(CultureInfo.InvariantCulture, $"nm{Environment.ProcessId}x{number}");
        var holder = TestProcess.Start([.. TestTools.Command("unshare"), "--net", "sh", "-c", "echo made; exec sleep infinity"], "/", Surroundings);
        if (await holder.StandardOutput.ReadLineAsync(TestContext.Current.CancellationToken) != "made")
        {
            holder.Dispose();
            Assert.Skip("A network of its own needs the right to make one: run the tests as root.");
        }

        var network = new SeparateNetwork(holder, name, number);
        var target = holder.Id.ToString(CultureInfo.InvariantCulture);
        await RunAsync("ip", "link", "add", name, "type", "veth", "peer", "name", "inner", "netns", target);
        await RunAsync("ip", "address", "add", $"{network.Host}/30", "dev", name);
        await RunAsync("ip", "link", "set", name, "up");
        await RunAsync([.. network.Wrapper, "ip", "address", "add", $"{network.Own}/30", "dev", "inner"]);
        await RunAsync([.. network.Wrapper, "ip", "link", "set", "inner", "up"]);
        await RunAsync([.. network.Wrapper, "ip", "link", "set", "lo", "up"]);
        return network;
    }

    /// <summary>From here on nothing arrives, and nobody is told so.</summary>
    internal Task CutAsync() => RunAsync("ip", "link", "set", _interface, "down");

    internal Task MendAsync() => RunAsync("ip", "link", "set", _interface, "up");

    public void Dispose()
    {
        _holder.Kill();
        _holder.WaitForExit();
        _holder.Dispose();
    }

    // 198.18.0.0/15 is for trials of networks. A run has a part of it by its process.
    private static IPAddress Address(int number, int place) => new([198, 18, (byte)Environment.ProcessId, (byte)((number * 4) + place)]);

    private static async Task RunAsync(params string[] command)
    {
        var run = await TestProcess.RunAsync([.. TestTools.Command(command[0]), .. command[1..]], "/", Surroundings, TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        Assert.True(run.ExitCode == 0, $"{string.Join(' ', command)}: {run.Output}");
    }
}
