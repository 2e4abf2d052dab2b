using System.Reflection;
using System.Text;

namespace NpmMirror.Tests;

/// <summary>
/// The page of claims, printed from the tests that show them. To renew <c>test/CLAIMS.md</c>, run these tests with <c>RENEW_CLAIMS=1</c>.
/// </summary>
public sealed class ClaimsTests
{
    private const string Root = "NpmMirror.Tests";

    private const string Head = """
        # What is claimed, and which test shows it

        > Printed from the tests (`[Claim]`): `RENEW_CLAIMS=1 ./test.sh -class NpmMirror.Tests.ClaimsTests` prints it anew.
        > One line a claim: `- what is claimed → Class.Method, Class.Method | the smallest change of the product that was tried and turned the test red`.
        > Test names are given below `NpmMirror.Tests`. The part after the bar is there for what guards data or security.

        """;

    private static readonly Dictionary<string, Type> Classes = typeof(ClaimsTests).Assembly.GetTypes().Where(type => !type.IsNested && !type.IsAbstract && type.Namespace?.StartsWith(Root, StringComparison.Ordinal) == true)
        .ToDictionary(type => type.Name);

    [Fact]
    public void The_page_lists_the_claims_of_the_tests()
    {
        var page = Path.Combine(TestTools.Root, "test/CLAIMS.md");
        var now = Print();
        if (Environment.GetEnvironmentVariable("RENEW_CLAIMS") == "1")
        {
            File.WriteAllText(page, now);
        }

        Assert.Equal(File.ReadAllText(page), now);
    }

    [Fact]
    public void Each_promise_is_made_once() => Assert.Empty(Claims().GroupBy(claim => claim.Text).Where(same => same.Count() > 1).Select(same => same.Key));

    private static string Print()
    {
        var page = new StringBuilder(Head);
        foreach (var room in Claims().GroupBy(claim => claim.Room))
        {
            page.Append('\n').Append("## ").Append(room.Key).Append("\n\n");
            foreach (var claim in room)
            {
                page.Append("- ").Append(claim.Text).Append(" → ").AppendJoin(", ", claim.Tests).Append(claim.Red is null ? "" : $" | {claim.Red}").Append('\n');
            }
        }

        return page.ToString();
    }

    private static IEnumerable<Claim> Claims() =>
        from type in Classes.Values
        orderby type.Namespace, type.Name
        from member in type.GetMethods(BindingFlags.Public | BindingFlags.Instance | BindingFlags.DeclaredOnly).OrderBy(method => method.MetadataToken).Cast<MemberInfo>().Prepend(type)
        from claim in member.GetCustomAttributes<ClaimAttribute>()
        let tests = (member is MethodInfo method ? claim.With.Prepend(method.Name) : claim.With).Select(name => NameOf(type, name)).ToArray()
        select new Claim(type.Namespace == Root ? "All rooms" : type.Namespace![(Root.Length + 1)..], claim.Text, tests, claim.Red);

    /// <summary>The name that the page gives a test. It exists, and a run of all tests runs it.</summary>
    private static string NameOf(Type declaring, string name)
    {
        var (type, method) = name.Split('.') is [var other, var one] ? (Classes.GetValueOrDefault(other), one) : (declaring, name);
        var fact = type?.GetMethod(method)?.GetCustomAttribute<FactAttribute>();
        Assert.True(fact is { Explicit: false, Skip: null }, $"{declaring.Name} names the test {name}: there is none that is run.");
        return $"{type!.FullName![(Root.Length + 1)..]}.{method}";
    }

    private sealed record Claim(string Room, string Text, string[] Tests, string? Red);
}
