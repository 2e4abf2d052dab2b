using System.Diagnostics;
using System.Reflection;
using System.Text.Json;
using Xunit.v3;

[assembly: NpmMirror.Tests.ReachedRecorder]

namespace NpmMirror.Tests;

/// <summary>Writes after each test which switches it reached, and how long it took.</summary>
[AttributeUsage(AttributeTargets.Assembly)]
public sealed class ReachedRecorder : BeforeAfterTestAttribute
{
    private static readonly string? File = Environment.GetEnvironmentVariable("TEST_MUTATION_TESTS");

    private static long _at = Stopwatch.GetTimestamp();

    public override void After(MethodInfo methodUnderTest, IXunitTest test)
    {
        if (File is not null)
        {
            var now = Stopwatch.GetTimestamp();
            var line = new { test = $"{test.TestCase.TestClassName}.{test.TestCase.TestMethodName}", ms = (long)Stopwatch.GetElapsedTime(_at, now).TotalMilliseconds, ids = Mutations.TakeReached() };
            System.IO.File.AppendAllText(File, JsonSerializer.Serialize(line) + "\n");
            _at = now;
        }
    }
}
