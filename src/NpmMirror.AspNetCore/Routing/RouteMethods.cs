namespace NpmMirror.AspNetCore.Routing;

/// <summary>The methods that a route takes, besides <c>OPTIONS</c>.</summary>
internal enum RouteMethods
{
    /// <summary><c>GET</c> and <c>HEAD</c>.</summary>
    Read,

    /// <summary><c>POST</c> of a query in a body.</summary>
    Ask,

    /// <summary><c>GET</c>, <c>HEAD</c>, and <c>POST</c> with a body.</summary>
    ReadOrAsk,
}
