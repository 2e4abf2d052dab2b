using Microsoft.Extensions.Hosting;
using NpmMirror.AspNetCore.Feeds;
using NpmMirror.AspNetCore.Operations;
using NpmMirror.AspNetCore.Routing;
using NpmMirror.Hosting;

namespace NpmMirror.AspNetCore.Pages;

/// <summary>The parts of a served mirror that its page shows or uses.</summary>
/// <param name="Mirror">The mirror.</param>
/// <param name="Admin">The rule for what changes state.</param>
/// <param name="Events">The log as server-sent events.</param>
/// <param name="CrossOrigin">Whether pages of other sites may read its state.</param>
/// <param name="Clients">Which clients ask for what.</param>
/// <param name="Lifetime">The host's.</param>
internal sealed record PageParts(
    Mirror Mirror, AdminAccess Admin, EventsEndpoint Events, CrossOriginPolicy CrossOrigin, ClientCounts Clients, IHostApplicationLifetime Lifetime);
