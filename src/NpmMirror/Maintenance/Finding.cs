namespace NpmMirror.Maintenance;

/// <summary>How findings are worded.</summary>
internal static class Finding
{
    /// <summary>A problem, and why mending failed: null if it succeeded, empty if it was not tried.</summary>
    internal static string With(string problem, string? failure) => string.IsNullOrEmpty(failure) ? problem : $"{problem} It could not be mended: {failure}";
}
