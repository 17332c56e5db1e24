package load

import "github.com/capmaas/capmaas/test/measured"

var section = measured.Section{Begins: "<!-- load: written by `make load` -->\n", Ends: "<!-- load: end -->\n"}

// Section gives what the page says of the load.
func Section(page string) (string, error) { return section.In(page) }

// WriteSection puts the text there.
func WriteSection(page, text string) error { return section.Write(page, text) }
