namespace NpmMirror.Tests.AspNetCore;

/// <summary>Small packuments for tests of serving.</summary>
internal static class Documents
{
    /// <summary>A package of two versions with everything the two forms treat differently.</summary>
    internal static string Of(string name, string description = "first", string? rev = "3-00000000000000000000000000000000") => $$"""
        {"_id":"{{name}}",{{(rev is null ? "" : $"\"_rev\":\"{rev}\",")}}"name":"{{name}}","description":"{{description}}","dist-tags":{"latest":"1.1.0","beta":"1.0.0"},
        "versions":{
        "1.0.0":{"name":"{{name}}","version":"1.0.0","scripts":{"install":"node x"},"readme":"long","dist":{"shasum":"{{new string('a', 40)}}","tarball":"http://registry.example.org/{{name}}/-/{{Bare(name)}}-1.0.0.tgz"} },
        "1.1.0":{"name":"{{name}}","version":"1.1.0","libc":["musl"],"dist":{"shasum":"{{new string('b', 40)}}","tarball":"http://registry.example.org/{{name}}/-/{{Bare(name)}}-1.1.0.tgz"} } },
        "time":{"created":"2020-01-01T00:00:00.000Z","modified":"2021-02-03T04:05:06.000Z","1.0.0":"2020-01-01T00:00:00.000Z","1.1.0":"2021-02-03T04:05:06.000Z","0.9.0":"2019-01-01T00:00:00.000Z"},
        "readme":"# {{name}}","license":"MIT"}
        """;

    private static string Bare(string name) => name[(name.IndexOf('/', StringComparison.Ordinal) + 1)..];
}
