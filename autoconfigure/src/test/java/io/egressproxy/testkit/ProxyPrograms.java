package io.egressproxy.testkit;

import io.egressproxy.testkit.ProxyProcess.Setup;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import org.junit.jupiter.api.Assumptions;

/**
 * How each proxy program is configured: in the foreground, on one loopback port, calling out from an address of its
 * own, and knowing {@link ProxyLab#PROXY_ONLY_NAME}.
 */
final class ProxyPrograms {

    private static final Path HOSTS = Path.of("/etc/hosts");
    private static final Path PASSWD = Path.of("/etc/passwd");
    private static final Path SHADOW = Path.of("/etc/shadow");
    private static final Path SHARED_MEMORY = Path.of("/dev/shm");
    private static final Path SQUID_PASSWORD_HELPER = Path.of("/usr/lib/squid/basic_ncsa_auth");

    private final Path hosts;
    private final PrivateNamespace namespace;

    ProxyPrograms(Path hosts, PrivateNamespace namespace) {
        this.hosts = hosts;
        this.namespace = namespace;
    }

    Setup microsocks() {
        return proxy -> {
            List<String> command = new ArrayList<>();
            command.add(Programs.require("microsocks", "microsocks").toString());
            command.addAll(List.of("-i", LoopbackPorts.HOST, "-p", "" + proxy.ownPort(), "-b", proxy.egressAddress()));
            Credentials credentials = proxy.credentials();
            if (credentials != null) {
                command.addAll(List.of("-u", credentials.username(), "-P", credentials.password()));
            }
            proxy.launch(withHosts(command));
        };
    }

    /** Dante authenticates system accounts, so it gets a password database of its own, or cannot be run. */
    Setup dante(String protocol) {
        return proxy -> {
            String danted = Programs.require("danted", "dante-server").toString();
            Credentials credentials = proxy.credentials();
            Map<Path, Path> replaced = new LinkedHashMap<>();
            if (credentials != null) {
                Assumptions.assumeTrue(
                        namespace.available(),
                        "Needs the permission to unshare namespaces: dante authenticates system accounts");
                replaced.put(PASSWD, proxy.write("passwd", passwd(credentials)));
                replaced.put(SHADOW, proxy.write("shadow", shadow(credentials)));
            }
            String configuration =
                    """
                    logoutput: stderr
                    internal: 127.0.0.1 port = %d
                    external: %s
                    %s
                    clientmethod: none
                    socksmethod: %s
                    client pass {
                        from: 0.0.0.0/0 to: 0.0.0.0/0
                        log: error
                    }
                    socks pass {
                        from: 0.0.0.0/0 to: 0.0.0.0/0
                        command: connect
                        proxyprotocol: %s
                        log: error connect
                    }
                    """
                            .formatted(
                                    proxy.ownPort(),
                                    proxy.egressAddress(),
                                    danteUsers(),
                                    credentials == null ? "none" : "username",
                                    protocol);
            Path file = proxy.write("danted.conf", configuration);
            Path pid = proxy.directory().resolve("danted.pid");
            proxy.launch(withReplaced(replaced, List.of(danted, "-f", file.toString(), "-p", pid.toString())));
        };
    }

    Setup v2raySocks() {
        return proxy -> {
            String v2ray = Programs.require("v2ray", "v2ray").toString();
            String configuration =
                    """
                    {
                      "log": {"loglevel": "warning"},
                      "dns": {"hosts": {"%s": "127.0.0.1"}, "servers": ["localhost"]},
                      "inbounds": [{
                        "listen": "127.0.0.1", "port": %d, "protocol": "socks",
                        "settings": {"auth": "noauth", "udp": false}
                      }],
                      "outbounds": [{
                        "protocol": "freedom", "sendThrough": "%s", "settings": {"domainStrategy": "UseIP"}
                      }]
                    }
                    """
                            .formatted(ProxyLab.PROXY_ONLY_NAME, proxy.ownPort(), proxy.egressAddress());
            Path file = proxy.write("v2ray.json", configuration);
            proxy.launch(withHosts(List.of(v2ray, "-config", file.toString())));
        };
    }

    Setup tinyproxy() {
        return proxy -> launchTinyproxy(proxy, proxy.ownPort());
    }

    /** Squid for plain connections of clients; the rules come before those that ask for credentials. */
    Setup squid(String rules) {
        return proxy -> {
            String squid = Programs.require("squid", "squid-openssl").toString();
            launchSquid(proxy, squid, "http_port 127.0.0.1:" + proxy.ownPort(), rules);
        };
    }

    /** Squid for TLS connections of clients. */
    Setup squidTls(Supplier<IssuedCertificate> certificates) {
        return proxy -> {
            String squid = Programs.require("squid", "squid-openssl").toString();
            IssuedCertificate certificate = certificates.get();
            String listen = "https_port 127.0.0.1:%d tls-cert=%s tls-key=%s"
                    .formatted(proxy.ownPort(), certificate.certificateFile(), certificate.keyFile());
            launchSquid(proxy, squid, listen, "");
        };
    }

    /** Haproxy terminates TLS and hands the bytes to a tinyproxy, which is part of the same proxy. */
    Setup tlsFront(Supplier<IssuedCertificate> certificates) {
        return proxy -> {
            String haproxy = Programs.require("haproxy", "haproxy").toString();
            IssuedCertificate certificate = certificates.get();
            launchTinyproxy(proxy, proxy.innerPort());
            proxy.awaitAccepting(proxy.innerPort());
            String configuration =
                    """
                    global
                        maxconn 500
                        log stdout format raw local0
                    defaults
                        mode tcp
                        log global
                        option tcplog
                        timeout connect 5s
                        timeout client 60s
                        timeout server 60s
                    frontend tls
                        bind 127.0.0.1:%d ssl crt %s
                        default_backend proxy
                    backend proxy
                        server proxy 127.0.0.1:%d
                    """
                            .formatted(proxy.ownPort(), certificate.bundleFile(), proxy.innerPort());
            Path file = proxy.write("haproxy.cfg", configuration);
            proxy.launch(withHosts(List.of(haproxy, "-db", "-f", file.toString())));
        };
    }

    private void launchTinyproxy(ProxyProcess proxy, int port) throws IOException {
        String tinyproxy = Programs.require("tinyproxy", "tinyproxy-bin").toString();
        Credentials credentials = proxy.credentials();
        String configuration =
                """
                Listen 127.0.0.1
                Port %d
                Bind %s
                Timeout 60
                MaxClients 200
                LogLevel Connect
                Allow 127.0.0.0/8
                %s
                """
                        .formatted(
                                port,
                                proxy.egressAddress(),
                                credentials == null
                                        ? ""
                                        : "BasicAuth " + credentials.username() + " " + credentials.password());
        Path file = proxy.write("tinyproxy.conf", configuration);
        proxy.launch(withHosts(List.of(tinyproxy, "-d", "-c", file.toString())));
    }

    private void launchSquid(ProxyProcess proxy, String squid, String listen, String rules) throws IOException {
        String configuration =
                """
                %s
                hosts_file %s
                tcp_outgoing_address %s
                visible_hostname squid.test
                pid_filename none
                access_log stdio:%s
                cache_log %s
                coredump_dir %s
                cache deny all
                cache_mem 0 MB
                netdb_filename none
                pinger_enable off
                shutdown_lifetime 0 seconds
                sslproxy_session_cache_size 0
                %s
                %s
                """
                        .formatted(
                                listen,
                                hosts,
                                proxy.egressAddress(),
                                proxy.logFile(),
                                proxy.logFile(),
                                proxy.directory(),
                                rules,
                                squidAccess(proxy));
        Path file = proxy.write("squid.conf", configuration);
        // Instances of one name share memory, and one that is killed leaves it behind.
        String instance = "testkit" + ProcessHandle.current().pid() + "p" + proxy.ownPort();
        proxy.afterKill(() -> SharedDirectories.deleteByPrefix(SHARED_MEMORY, instance + "-"));
        List<String> command = List.of(squid, "-N", "-n", instance, "-f", file.toString());
        // A mapped root is alone in its user namespace: squid could not switch to the user it wants to run as.
        proxy.launch(PrivateNamespace.isRoot() ? withHosts(command) : command);
    }

    private List<String> withHosts(List<String> command) {
        return withReplaced(Map.of(), command);
    }

    private List<String> withReplaced(Map<Path, Path> replaced, List<String> command) {
        if (!namespace.available()) {
            return command;
        }
        Map<Path, Path> all = new LinkedHashMap<>(replaced);
        all.put(HOSTS, hosts);
        return namespace.wrap(all, command);
    }

    private static String danteUsers() {
        return PrivateNamespace.isRoot() ? "user.privileged: root\nuser.unprivileged: nobody" : "";
    }

    private static String squidAccess(ProxyProcess proxy) throws IOException {
        Credentials credentials = proxy.credentials();
        if (credentials == null) {
            return "http_access allow all";
        }
        Path helper = Programs.requireFile(SQUID_PASSWORD_HELPER, "squid-openssl");
        Path users = proxy.write("users", credentials.username() + ":" + hash("-apr1", credentials) + "\n");
        return """
                auth_param basic program %s %s
                auth_param basic children 2 startup=1
                acl known proxy_auth REQUIRED
                http_access allow known
                http_access deny all
                """
                .formatted(helper, users);
    }

    private static String passwd(Credentials credentials) {
        return """
                root:x:0:0:root:/root:/bin/sh
                nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
                %s:x:65534:65534::/nonexistent:/usr/sbin/nologin
                """
                .formatted(credentials.username());
    }

    private static String shadow(Credentials credentials) throws IOException {
        return """
                root:*:19000:0:99999:7:::
                nobody:*:19000:0:99999:7:::
                %s:%s:19000:0:99999:7:::
                """
                .formatted(credentials.username(), hash("-6", credentials));
    }

    private static String hash(String method, Credentials credentials) throws IOException {
        Path password = Files.createTempFile("testkit", ".password");
        try {
            Files.writeString(password, credentials.password());
            String openssl = Programs.require("openssl", "openssl").toString();
            return Programs.run(List.of(openssl, "passwd", method, "-in", password.toString()))
                    .strip();
        } finally {
            Files.delete(password);
        }
    }
}
