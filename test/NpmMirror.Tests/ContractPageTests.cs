using System.Reflection;
using System.Text.RegularExpressions;
using NpmMirror.Conformance;

namespace NpmMirror.Tests;

/// <summary>The page that says in prose what the suite for storage engines tests.</summary>
public sealed partial class ContractPageTests
{
    [Claim("docs/engines.md has each promise of a storage engine in prose, with the tests of the suite that show it, and no other")]
    [Fact]
    public void The_page_names_every_test_of_the_suite_and_no_other()
    {
        var page = File.ReadAllText(Path.Combine(TestTools.Root, "docs/engines.md"));
        var named = TestName().Matches(page).Select(match => match.Groups[1].Value).ToHashSet();
        var tests = typeof(MetadataStoreContract).Assembly.GetTypes().SelectMany(type => type.GetMethods(BindingFlags.Public | BindingFlags.Instance | BindingFlags.DeclaredOnly))
            .Where(method => method.GetCustomAttributes<FactAttribute>().Any()).Select(method => method.Name).ToHashSet();
        Assert.True(tests.Count > 100);
        Assert.Equal(tests.Order(StringComparer.Ordinal), named.Order(StringComparer.Ordinal));
    }

    [GeneratedRegex("`([A-Z][a-z0-9]*(?:_\\w+)+)`")]
    private static partial Regex TestName();
}
