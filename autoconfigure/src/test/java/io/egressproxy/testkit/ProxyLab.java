package io.egressproxy.testkit;

import io.egressproxy.testkit.ProxyProcess.Setup;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.extension.AfterEachCallback;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.ParameterContext;
import org.junit.jupiter.api.extension.ParameterResolver;

/**
 * Real proxies of every kind, on loopback. Use it with {@code @ExtendWith(ProxyLab.Extension.class)} and take it as a
 * parameter of a constructor, a test or a factory of arguments. There is one lab per JVM, because starting all the
 * programs takes seconds; each starts when it is first used, and a test's {@code stop} or {@code freeze} is undone
 * after that test.
 *
 * <p>Each proxy calls out from a loopback address of its own, so the target can tell which proxy, if any, called it.
 */
public final class ProxyLab implements ExtensionContext.Store.CloseableResource {

    /** A name that the proxies resolve to 127.0.0.1 and this JVM cannot resolve. */
    public static final String PROXY_ONLY_NAME = "only-proxy.test";

    /** System property that keeps the directory with configurations and logs, for looking into a failure. */
    private static final String KEEP = "testkit.keep";

    private final Path directory;
    private final PrivateNamespace namespace;
    private final ProxyPrograms programs;
    private final Map<ProxyKind, ProxyProcess> proxies = new EnumMap<>(ProxyKind.class);
    private @Nullable TestCertificates certificates;

    private ProxyLab() {
        try {
            this.directory = SharedDirectories.createTemporary("egress-testkit");
            Path hosts = Files.writeString(
                    directory.resolve("hosts"), "127.0.0.1 localhost " + PROXY_ONLY_NAME + "\n::1 localhost\n");
            this.namespace = new PrivateNamespace(hosts);
            this.programs = new ProxyPrograms(hosts, namespace);
        } catch (IOException e) {
            throw new UncheckedIOException("Cannot set up the lab", e);
        }
        for (ProxyKind kind : ProxyKind.values()) {
            proxies.put(kind, newProxy(kind));
        }
        Runtime.getRuntime().addShutdownHook(new Thread(this::close, "testkit-reaper"));
    }

    /** The proxy of that kind; not started before it is needed. */
    public RunningProxy proxy(ProxyKind kind) {
        return process(kind);
    }

    /** Every kind of working proxy, without and with credentials; none is started before it is needed. */
    public List<RunningProxy> allKinds() {
        return select(kind -> true);
    }

    /** Those of {@link #allKinds()} with one of the schemes. */
    public List<RunningProxy> allKinds(String... schemes) {
        return select(kind -> Set.of(schemes).contains(kind.scheme()));
    }

    /** Five microsocks that differ in port and egress address only. */
    public List<RunningProxy> poolOfFive() {
        return Stream.of(ProxyKind.POOL_1, ProxyKind.POOL_2, ProxyKind.POOL_3, ProxyKind.POOL_4, ProxyKind.POOL_5)
                .map(this::proxy)
                .toList();
    }

    /** Those of {@link #allKinds()} that demand credentials. */
    public List<RunningProxy> allKindsWithCredentials() {
        return select(kind -> kind.credentials().isPresent());
    }

    /** Certificates for TLS to the proxies and to targets; clients must trust their authority. */
    public synchronized TestCertificates certificates() {
        TestCertificates present = certificates;
        if (present == null) {
            present = TestCertificates.create(directory.resolve("certificates"));
            certificates = present;
        }
        return present;
    }

    /** A new target that knows the proxies of this lab; the caller closes it. */
    public TargetServer newTarget() {
        return TargetServer.start(certificates(), egressAddresses());
    }

    /** All addresses from which proxies call out; a connection from any other address came directly. */
    public Set<String> egressAddresses() {
        return Arrays.stream(ProxyKind.values()).map(ProxyKind::egressAddress).collect(Collectors.toUnmodifiableSet());
    }

    /** All passwords; each contains {@link Credentials#CANARY}. */
    public List<String> passwords() {
        return credentials().map(Credentials::password).toList();
    }

    /** All passwords as they are, percent-encoded, and in Base64, alone and with their user. */
    public List<String> secrets() {
        return credentials()
                .flatMap(credentials -> credentials.secretForms().stream())
                .distinct()
                .toList();
    }

    /** Skips the test visibly if this machine does not let every proxy have names of its own. */
    public void assumeProxyOnlyNames() {
        Assumptions.assumeTrue(
                namespace.available(),
                "Needs the permission to unshare namespaces, for names that only the proxies resolve");
    }

    /** Skips the test visibly if this one proxy cannot resolve {@link #PROXY_ONLY_NAME}. */
    public void assumeProxyOnlyNames(RunningProxy proxy) {
        Assumptions.assumeTrue(proxy.resolvesProxyOnlyName(), proxy + " cannot resolve names of its own here");
    }

    /** Thaws what is frozen and starts what was stopped; happens after each test that uses the extension. */
    public void restore() {
        proxies.values().forEach(ProxyProcess::restore);
    }

    /** Kills all programs and removes their files; happens after all tests, or when the JVM is shut down before. */
    @Override
    public void close() {
        proxies.values().forEach(ProxyProcess::close);
        if (Boolean.getBoolean(KEEP)) {
            return;
        }
        try {
            SharedDirectories.delete(directory);
        } catch (IOException e) {
            throw new UncheckedIOException("Cannot delete " + directory, e);
        }
    }

    private List<RunningProxy> select(Predicate<ProxyKind> wanted) {
        return ProxyKind.working().stream().filter(wanted).map(this::proxy).toList();
    }

    private ProxyProcess process(ProxyKind kind) {
        ProxyProcess process = proxies.get(kind);
        if (process == null) {
            throw new IllegalArgumentException("No " + kind);
        }
        return process;
    }

    private ProxyProcess newProxy(ProxyKind kind) {
        return new ProxyProcess(directory, kind, resolvesProxyOnlyName(kind), setup(kind));
    }

    /** Squid and v2ray have a host table in their configuration; the others read the one of their namespace. */
    private boolean resolvesProxyOnlyName(ProxyKind kind) {
        return switch (kind.program()) {
            case "squid", "v2ray" -> true;
            default -> !kind.scheme().equals("socks4") && namespace.available();
        };
    }

    private Setup setup(ProxyKind kind) {
        return switch (kind) {
            case MICROSOCKS_SOCKS5, MICROSOCKS_SOCKS5_CREDENTIALS, POOL_1, POOL_2, POOL_3, POOL_4, POOL_5 ->
                programs.microsocks();
            case DANTE_SOCKS5, DANTE_SOCKS5_CREDENTIALS -> programs.dante("socks_v5");
            case DANTE_SOCKS4 -> programs.dante("socks_v4");
            case V2RAY_SOCKS4A -> programs.v2raySocks();
            case TINYPROXY_HTTP, TINYPROXY_HTTP_CREDENTIALS -> programs.tinyproxy();
            case SQUID_HTTP, SQUID_HTTP_CREDENTIALS -> programs.squid("");
            case SQUID_STOCK_RULE -> programs.squid("acl SSL_ports port 443\nhttp_access deny CONNECT !SSL_ports");
            case SQUID_HTTPS, SQUID_HTTPS_CREDENTIALS ->
                programs.squidTls(() -> certificates().server());
            case HAPROXY_HTTPS, HAPROXY_HTTPS_CREDENTIALS ->
                programs.tlsFront(() -> certificates().server());
            case EXPIRED_CERTIFICATE -> programs.tlsFront(() -> certificates().expired());
            case WRONG_HOST_CERTIFICATE ->
                programs.tlsFront(() -> certificates().wrongHost());
            case UNTRUSTED_CERTIFICATE -> programs.tlsFront(() -> certificates().untrusted());
        };
    }

    private static Stream<Credentials> credentials() {
        return Arrays.stream(ProxyKind.values()).flatMap(kind -> kind.credentials().stream());
    }

    /** Hands the lab of this JVM to tests, restores its proxies after each test, and closes it after the last. */
    public static final class Extension implements ParameterResolver, AfterEachCallback {

        private static final ExtensionContext.Namespace NAMESPACE = ExtensionContext.Namespace.create(ProxyLab.class);

        @Override
        public boolean supportsParameter(ParameterContext parameter, ExtensionContext context) {
            return parameter.getParameter().getType() == ProxyLab.class;
        }

        @Override
        public ProxyLab resolveParameter(ParameterContext parameter, ExtensionContext context) {
            return store(context).getOrComputeIfAbsent(ProxyLab.class, key -> new ProxyLab(), ProxyLab.class);
        }

        @Override
        public void afterEach(ExtensionContext context) {
            ProxyLab lab = store(context).get(ProxyLab.class, ProxyLab.class);
            if (lab != null) {
                lab.restore();
            }
        }

        private static ExtensionContext.Store store(ExtensionContext context) {
            return context.getRoot().getStore(NAMESPACE);
        }
    }
}
