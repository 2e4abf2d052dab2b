namespace NpmMirror.Tests;

/// <summary>
/// Something that the product promises and this test shows. <c>test/CLAIMS.md</c> is printed from these by <see cref="ClaimsTests"/>.
/// On a class it is shown by the tests of <see cref="With"/> alone, for example by those that the class inherits.
/// </summary>
/// <param name="text">The promise, for a reader of the page.</param>
[AttributeUsage(AttributeTargets.Method | AttributeTargets.Class, AllowMultiple = true, Inherited = false)]
internal sealed class ClaimAttribute(string text) : Attribute
{
    public string Text { get; } = text;

    /// <summary>Further tests that show it: a method of the same class, or <c>Class.Method</c>.</summary>
    public string[] With { get; init; } = [];

    /// <summary>The smallest change of the product that was tried and turned the test red; for claims that guard data or security.</summary>
    public string? Red { get; init; }
}
