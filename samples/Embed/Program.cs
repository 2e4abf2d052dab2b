// A web application with a mirror at /npm: dotnet run --project samples/Embed -- https://registry.example.org/ FOLDER [urls]
using NpmMirror.AspNetCore;
using NpmMirror.Hosting;
using NpmMirror.Options;
using NpmMirror.Sqlite;

var builder = WebApplication.CreateBuilder();
builder.Services.AddNpmMirror(new MirrorOptions { Upstream = args[0], Data = args[1] }).UseSqlite();
var app = builder.Build();
app.Urls.Add(args.ElementAtOrDefault(2) ?? "http://127.0.0.1:8080");
app.MapGet("/hello", () => "Hello from the application itself.");
app.MapNpmRegistry("/npm");
app.Run();
