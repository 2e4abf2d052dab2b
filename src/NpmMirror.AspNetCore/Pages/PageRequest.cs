namespace NpmMirror.AspNetCore.Pages;

/// <summary>A request to the page.</summary>
/// <param name="Path">The segments of the path below the page's root, percent signs decoded; none for the root itself.</param>
/// <param name="Up">The relative address of the page's root: <c>./</c>, <c>../</c>, <c>../../</c>. Whatever proxies do to paths, it is right.</param>
/// <param name="Registry">The registry's address, without a slash at its end.</param>
internal sealed record PageRequest(IReadOnlyList<string> Path, string Up, string Registry);
