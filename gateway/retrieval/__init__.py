"""Knowledge bases: folders of texts cut into passages, and the search for those that a question asks for. It knows no caller and no protocol."""
