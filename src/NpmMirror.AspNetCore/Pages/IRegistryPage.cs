using Microsoft.AspNetCore.Http;

namespace NpmMirror.AspNetCore.Pages;

/// <summary>The page for people. It is an assembly of its own, which the server does not know: who builds the application adds it to the services.</summary>
internal interface IRegistryPage
{
    /// <summary>Answers one request to a path of the page.</summary>
    Task HandleAsync(HttpContext context, PageRequest request);
}

/// <summary>Makes the page of a mirror that was opened; a service, if there is a page.</summary>
internal delegate IRegistryPage RegistryPageMaker(PageParts parts);
