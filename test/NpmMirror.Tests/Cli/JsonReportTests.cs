using System.Text.Json;
using NpmMirror.Cli;
using NpmMirror.Copying;

namespace NpmMirror.Tests.Cli;

/// <summary>A report whose items are written as they are found.</summary>
public sealed class JsonReportTests
{
    [Claim("A report in JSON that fails half way ends as JSON",
        Red = "`JsonReport.FillAsync` does not end the document")]
    [Fact]
    public async Task A_report_that_fails_half_way_is_json_all_the_same_and_says_why()
    {
        using var output = new StringWriter();
        var report = new JsonReport(output, "findings");
        await Assert.ThrowsAsync<MirrorException>(() => report.FillAsync<int>(() =>
        {
            report.Add(new CopyFinding("ms", "It has no bytes."), ReportJson.Lines.CopyFinding);
            throw new MirrorException(MirrorFault.StoreUnavailable, "It is damaged.");
        }));

        using var json = JsonDocument.Parse(output.ToString());
        Assert.Equal("ms", Assert.Single(json.RootElement.GetProperty("findings").EnumerateArray()).GetProperty("subject").GetString());
        Assert.Equal("It is damaged.", json.RootElement.GetProperty("error").GetString());
        Assert.False(json.RootElement.TryGetProperty("summary", out _));
    }
}
