using System.Globalization;

namespace NpmMirror.Tests.Redis;

/// <summary>Another server of Redis' protocol, with the settings that a mirror needs.</summary>
public sealed class GarnetServer : RedisServer
{
    public GarnetServer()
        : this(["--lua-transaction-mode", "true"])
    {
    }

    internal GarnetServer(IReadOnlyList<string> options)
        : base(options)
    {
    }

    protected override IReadOnlyList<string> Command =>
    [
        Path.Combine(TestTools.Root, ".test-tools", "garnet", "garnet-server"), "--port", Port.ToString(CultureInfo.InvariantCulture), "--bind", "127.0.0.1", "--memory", "1g",
        .. Options.Contains("--lua") ? (string[])[] : ["--lua", "true"], "--aof", "true", "--checkpointdir", Folder, "--recover", "true", "--device-type", "RandomAccess",
    ];
}
