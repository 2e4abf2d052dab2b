namespace NpmMirror.Maintenance;

/// <summary>How findings are worded.</summary>
internal static class Finding
{
    /// <summary>A problem and why mending failed: null when it did not, empty when nobody tried.</summary>
    internal static string With(string problem, string? failure) => string.IsNullOrEmpty(failure) ? problem : $"{problem} It could not be mended: {failure}";
}
