package io.egressproxy.endtoend;

import static org.assertj.core.api.Assertions.assertThat;

import io.egressproxy.settings.ProxySettings;
import io.egressproxy.settings.ProxySettingsBinder;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;
import org.springframework.boot.env.YamlPropertySourceLoader;
import org.springframework.core.env.StandardEnvironment;
import org.springframework.core.io.ByteArrayResource;

class StartUpTests {
    @Test
    void theSettingsThatAreSwitchedOffAreOnesThatCouldBeSwitchedOn() throws IOException {
        ProxySettings settings = ProxySettingsBinder.bind(environment(true));
        assertThat(settings.exchanges()).hasSize(5);
        assertThat(ProxySettingsBinder.isEnabled(environment(false))).isFalse();
    }

    private static StandardEnvironment environment(boolean enabled) throws IOException {
        StandardEnvironment environment = new StandardEnvironment();
        new YamlPropertySourceLoader()
                .load(
                        "settings",
                        new ByteArrayResource(StartUp.settings(enabled).getBytes(StandardCharsets.UTF_8)))
                .forEach(environment.getPropertySources()::addLast);
        return environment;
    }
}
