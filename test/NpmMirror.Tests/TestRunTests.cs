using System.Globalization;
using NpmMirror.Tests.Sqlite;
using Xunit.v3;

namespace NpmMirror.Tests;

/// <summary>How a run of the tests ends: no test hangs without end, and nothing that a test started outlives it.</summary>
public sealed class TestRunTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Every_test_that_waits_has_a_deadline()
    {
        await Task.Yield();
        Assert.True(((IXunitTest)TestContext.Current.Test!).Timeout > 0);
    }

    [Theory]
    [InlineData(1)]
    public async Task Every_case_of_a_theory_that_waits_has_a_deadline(int number)
    {
        await Task.Yield();
        Assert.True(((IXunitTest)TestContext.Current.Test!).Timeout >= number);
    }

    [Claim("A test that hangs is ended and named",
        With = [nameof(Every_test_that_waits_has_a_deadline), nameof(Every_case_of_a_theory_that_waits_has_a_deadline)])]
    [Fact]
    public async Task A_test_that_hangs_is_ended_and_named()
    {
        using var run = SecondProcess.StartWith(nameof(SecondProcess.Waits_for_ever), "", new Dictionary<string, string?> { [TestDeadlines.Variable] = "1" });
        var output = await run.StandardOutput.ReadToEndAsync(Token).WaitAsync(TimeSpan.FromSeconds(120), Token);
        await run.WaitForExitAsync(Token);
        Assert.NotEqual(0, run.ExitCode);
        Assert.Contains($"{nameof(SecondProcess.Waits_for_ever)} [FAIL]", output, StringComparison.Ordinal);
        Assert.Contains("timed out", output, StringComparison.Ordinal);
    }

    [Claim("Processes that tests started end with the test program, also when that is killed")]
    [Fact]
    public async Task Processes_of_tests_end_with_them_also_when_they_are_killed()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "Other systems tell no process's environment.");
        // As a run of its own: below this one it would leave its children to this one.
        using var run = SecondProcess.StartWith(nameof(SecondProcess.Starts_a_child_and_waits), "", new Dictionary<string, string?> { [TestChildren.Variable] = null });
        var children = new List<int>();
        while (children.Count < 2)
        {
            children.Add(int.Parse((await SecondProcess.ReadToldAsync(run))!, CultureInfo.InvariantCulture));
        }

        Assert.All(children, child => Assert.True(IsAlive(child)));
        run.Kill();
        await Eventually.Async(() => !children.Exists(IsAlive));
    }

    // A dead process that was not yet waited for is a zombie. (A command line tells it worse: it is empty in the moment of an exec.)
    private static bool IsAlive(int process)
    {
        try
        {
            var stat = File.ReadAllText(string.Create(CultureInfo.InvariantCulture, $"/proc/{process}/stat"));
            return stat[stat.LastIndexOf(')') + 2] is not ('Z' or 'X');
        }
        catch (Exception gone) when (gone is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }
}
