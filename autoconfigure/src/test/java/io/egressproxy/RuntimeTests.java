package io.egressproxy;

import static org.assertj.core.api.Assertions.assertThat;

import io.egressproxy.autoconfigure.EgressProxyAutoConfiguration;
import java.io.File;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.boot.SpringBootVersion;
import org.springframework.core.SpringVersion;
import reactor.netty.http.client.HttpClient;

/** Says what all the others run on. The build compares that of its runs: each generation of Spring Boot has the same classes. */
@Tag("smoke")
class RuntimeTests {
    private static final Logger log = LoggerFactory.getLogger(RuntimeTests.class);

    @Test
    void theLibraryRunsOnWhatThisLineSays() throws Exception {
        String bytes = digest(Path.of(EgressProxyAutoConfiguration.class
                .getProtectionDomain()
                .getCodeSource()
                .getLocation()
                .toURI()));
        log.info(
                "runs on: Spring Boot {}, Spring Framework {}, Reactor Netty {}, JDK {}; library {}",
                SpringBootVersion.getVersion(),
                SpringVersion.getVersion(),
                HttpClient.class.getPackage().getImplementationVersion(),
                Runtime.version().feature(),
                bytes);
        assertThat(SpringBootVersion.getVersion()).matches("(3[.]5|4[.]1)[.].*");
        assertThat(bytes).hasSize(64);
    }

    private static String digest(Path library) throws Exception {
        if (Files.isDirectory(library)) {
            return digest(library, library);
        }
        try (FileSystem jar = FileSystems.newFileSystem(library)) {
            return digest(jar.getPath("/"), library);
        }
    }

    private static String digest(Path root, Path library) throws Exception {
        MessageDigest digest = MessageDigest.getInstance("SHA-256");
        List<Path> classes;
        try (Stream<Path> files = Files.walk(root)) {
            classes = files.filter(file -> file.toString().endsWith(".class"))
                    .sorted()
                    .toList();
        }
        assertThat(classes).as("classes in " + library).hasSizeGreaterThan(100);
        for (Path file : classes) {
            digest.update(root.relativize(file)
                    .toString()
                    .replace(File.separatorChar, '/')
                    .getBytes(StandardCharsets.UTF_8));
            digest.update(Files.readAllBytes(file));
        }
        return HexFormat.of().formatHex(digest.digest());
    }
}
