namespace NpmMirror.Page;

/// <summary>A page that says one thing.</summary>
internal sealed record MessageModel(PageFrame Frame, string Message);
