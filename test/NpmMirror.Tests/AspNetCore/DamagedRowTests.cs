using System.Text;
using Microsoft.Data.Sqlite;
using NpmMirror.Sqlite;
using NpmMirror.Testing;

namespace NpmMirror.Tests.AspNetCore;

/// <summary>Rows with values that cannot be: an error of one package, until it was fetched anew.</summary>
public sealed class DamagedRowTests : IDisposable
{
    private readonly TempFolder _folder = new();

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    private string Database => _folder.File("mirror.sqlite");

    public void Dispose() => _folder.Dispose();

    [Trait("Duration", "long")]
    [Theory]
    [InlineData("UPDATE packages SET stored_at = 9223372036854775807 WHERE name = 'ms'")]
    [InlineData("UPDATE packages SET stored_at = 'yesterday' WHERE name = 'ms'")]
    [InlineData("UPDATE packages SET raw_size = -1 WHERE name = 'ms'")]
    [InlineData("UPDATE packages SET raw_size = 2147483647 WHERE name = 'ms'")]
    [InlineData("UPDATE packages SET removal = 'Eaten' WHERE name = 'ms'")]
    [InlineData("UPDATE packages SET document_sha256 = x'' WHERE name = 'ms'")]
    [InlineData("UPDATE packages SET generation = -7 WHERE name = 'ms'")]
    [InlineData("UPDATE packages SET etag = x'00' WHERE name = 'ms'")]
    [InlineData("UPDATE documents SET codec = 99999999999 WHERE package = (SELECT id FROM packages WHERE name = 'ms')")]
    [InlineData("DELETE FROM documents WHERE package = (SELECT id FROM packages WHERE name = 'ms')")]
    public async Task A_package_with_a_damaged_row_is_fetched_anew_and_lists_go_on(string sql)
    {
        await using var registry = await FakeRegistry.StartAsync(cancellationToken: Cancelled);
        string[] names = ["aa", "ms", "zz"];
        foreach (var name in names)
        {
            registry.PutDocument(name, Encoding.UTF8.GetBytes(Documents.Of(name, $"TEXT OF {name}")));
        }

        await using (var before = await ServedMirror.StartAsync(new SqliteStore(Database, TimeProvider.System), registry.Url))
        {
            foreach (var name in names)
            {
                Assert.Contains($"TEXT OF {name}", await before.TextAsync(name), StringComparison.Ordinal);
            }

            await before.Store.DisposeAsync();
        }

        Tamper(sql);
        var trouble = registry.Knobs.Fail("/ms", 503);
        await using var mirror = await ServedMirror.StartAsync(new SqliteStore(Database, TimeProvider.System), registry.Url);
        foreach (var way in (string[])["ms", "ms/1.0.0"])
        {
            using var answer = await mirror.GetAsync(way);
            var text = await answer.Content.ReadAsStringAsync(Cancelled);
            Assert.True((int)answer.StatusCode == 503 && text.Contains("The stored document of ms is damaged", StringComparison.Ordinal), $"{way}: {(int)answer.StatusCode} {text}");
        }

        foreach (var way in (string[])["_all_docs?include_docs=true", "_changes?include_docs=true", "-/all"])
        {
            var list = await mirror.TextAsync(way);
            Assert.True(list.Contains("TEXT OF aa", StringComparison.Ordinal) && list.Contains("TEXT OF zz", StringComparison.Ordinal), $"{way}: {list}");
            Assert.True(list.Contains("The stored document of ms is damaged", StringComparison.Ordinal), $"{way}: {list}");
        }

        registry.Knobs.Remove(trouble);
        await Eventually.Async(async () =>
        {
            using var answer = await mirror.GetAsync("ms");
            return (int)answer.StatusCode == 200;
        });
        Assert.Contains("TEXT OF ms", await mirror.TextAsync("ms"), StringComparison.Ordinal);
        Assert.Contains("TEXT OF ms", await mirror.TextAsync("_all_docs?include_docs=true"), StringComparison.Ordinal);
        Assert.Null((await mirror.Store.Packages.FindAsync(PackageName.Parse("ms"), Cancelled))!.Damage);
        await mirror.Store.DisposeAsync();
    }

    private void Tamper(string sql)
    {
        using var connection = new SqliteConnection($"Data Source={Database};Pooling=False");
        connection.Open();
        using var command = connection.CreateCommand();
#pragma warning disable CA2100 // The test's own text.
        command.CommandText = sql;
#pragma warning restore CA2100
        Assert.True(command.ExecuteNonQuery() > 0);
    }
}
