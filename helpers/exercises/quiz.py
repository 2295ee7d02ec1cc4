"""Twenty questions to check oneself: (question, {answer: why or why not}, the right answer).

A number in brackets is the section that a question is about. What explains a wrong answer says which misunderstanding is behind it.
"""

from html import escape

QUESTIONS = [
    # ---- 01_activations ----
    ("1. (1.7) Coursenet calls the cat an espresso. Of the eight pieces of other photographs that are nearest to the cat by pixels, six "
     "show the espresso. What does this explain?", {
         "The network compares pixels too, so it makes the same mistake.":
             "A network compares what its layers compute, which is something else. By coursenet's relu5 none of the eight pieces "
             "shows the espresso.",
         "The cat and the espresso have the same colours.":
             "Nearness in pixels also asks where light and dark are. By the mean colour alone none of the eight pieces shows the espresso.",
         "Little, since the neighbours change with the gallery.":
             "Yes. What is nearest depends on what else could have been found. With pieces of the cat's own photograph in the "
             "gallery, all eight nearest pieces by pixels show the cat.",
         "The espresso was in the training set, so the network saw it again.":
             "Neighbours are looked for among the pieces of the album, and nothing was asked of the training set. Pixels need no "
             "training at all.",
     }, "Little, since the neighbours change with the gallery."),
    ("2. (1.8) What does t-SNE make small when it moves the points of its map?", {
        "The share of the variance that is lost":
            "That is what PCA does, and it moves no points step by step: one singular value decomposition finds the best plane.",
        "A divergence between two sets of neighbour probabilities":
            "Yes. The one says how likely the points choose each other as neighbours in the layer, and the other how likely they do so "
            "on the map.",
        "The differences between the distances in the layer and those on the map":
            "Then the size of an island would tell how far its points are apart. t-SNE asks only that neighbours stay neighbours, so this "
            "size means nothing.",
        "The distance of each picture from the others of its class":
            "t-SNE is never told the classes. If the pictures of one shape gather, it is because they were near each other in the layer.",
    }, "A divergence between two sets of neighbour probabilities"),
    ("3. (1.9) A linear probe of relu1 names the direction of the light in 66% of the scenes; always the most frequent direction would "
     "be right in 27%. What follows?", {
         "Training has taught the first layer where the light comes from.":
             "The rival that has learnt nothing was left out: the first layer of an untrained network gives 65%.",
         "The network uses the direction of the light when it names an object.":
             "What can be read off a layer need not be used by the layers that follow. A probe tells only the first.",
         "With more steps of descent the probe would come nearer to 100%.":
             "A ridge probe is not found step by step. Its weights solve one linear system, so no step is missing.",
         "The light can be read off this layer, with or without training.":
             "Yes. An untrained first layer gives 65%, and with 300 scenes a difference of one point may be luck.",
     }, "The light can be read off this layer, with or without training."),
    ("4. (1.11) Windows of the cat are covered with blur, one at a time, and on the map there is no place where the large network becomes "
     "less sure of its name. How should this be read?", {
         "No single part is needed, since the rest can stand in for it.":
             "Yes. Occlusion finds only what has no substitute. Perhaps each part of this cat is cat enough, and this map cannot tell "
             "more.",
         "The network does not look at the cat, but at something beside it.":
             "This takes a dark map for indifference. Where two parts would each suffice, covering one of them changes nothing, "
             "though the network looks at both.",
         "The blur was the wrong cover, and a grey one would have shown the right place.":
             "A fall under one cover alone may be the work of the cover. Four covers were compared, grey among them, and no place of the "
             "cat showed a fall under all four.",
         "The gradient must be zero there as well, so saliency would be dark.":
             "Covering a part and changing it a little are two questions. On the cameraman occlusion lies on the tripod's legs, and "
             "SmoothGrad on the camera.",
     }, "No single part is needed, since the rest can stand in for it."),
    ("5. (1.12) Of which number should a saliency map for a class take the gradient?", {
        "Of the score of the class before the softmax":
            "Yes. The gradient of the probability also contains those of all other classes, and it shrinks where the network is sure: "
            "on the espresso the largest value was 36 times smaller.",
        "Of the probability of the class, since it has a fixed range":
            "A range from 0 to 1 does not make it a better question. The probability also rises when another class falls, and near 1 it "
            "hardly moves, so that certainty looks like indifference.",
        "Of the cross-entropy of the class, since the network was trained on it":
            "What is good to train on need not be good to explain. The cross-entropy is minus the logarithm of the probability, so it "
            "mixes the classes as well.",
    }, "Of the score of the class before the softmax"),
    # ---- 02_gradients ----
    ("6. (2.1) A map that is bright in the middle of every picture seeds masks with an overlap of 0.83, when the open pixels start as "
     "object; the robust network's blurred gradient reaches 0.66. Why?", {
         "GrabCut finds the same mask from any seeds, give or take a little.":
             "The colours do much of the work, but not all of it. With the objects in a corner, the seeds in the middle give 0.40.",
         "The objects of these scenes stand near the middle of the picture.":
             "Yes. The middle says where they are, and the colours do the rest. With the objects in a corner, the middle falls to 0.40, "
             "and the robust gradient keeps 0.64.",
         "A trained network looks at the middle, and this map imitates it.":
             "This map never asks a network. Where the objects stand in a corner, the robust network's gradient follows them, and the "
             "middle does not.",
         "The gradient is speckled, and a little blur would close the gap.":
             "Blur does help a gradient, but it was counted already: 0.66 is the blurred one, and without blur it is 0.51.",
     }, "The objects of these scenes stand near the middle of the picture."),
    ("7. (2.2) The input of a ReLU is −2, and the gradient that comes down from above is 3. What does each rule hand down?", {
        "Plain 3, deconvnet 3, guided 0":
            "This leaves out the derivative of the ReLU itself. It is zero where the unit is off, so the plain rule hands down 0.",
        "Plain 0, deconvnet 0, guided 3":
            "This takes guided backprop for more generous than the gradient. It asks what the plain rule asks and one thing more, so it "
            "never hands down what the plain rule stops.",
        "Plain 0, deconvnet 3, guided 0":
            "Yes. The plain rule asks whether the unit was on, the deconvnet whether the gradient is positive, and guided backprop asks "
            "both.",
        "Plain 0, deconvnet 0, guided 0":
            "This lets the deconvnet ask whether the unit was on. It does not ask, and hands down whatever is positive.",
    }, "Plain 0, deconvnet 3, guided 0"),
    ("8. (2.2) A guided map of the dahlia is sharp and shows the flower. What follows about what the network has learnt?", {
        "It recognises the flower by the petals that the map shows.":
            "This takes a good drawing for an explanation. With the last layers shuffled the network can name nothing any more, and its "
            "guided maps still have a rank correlation of 0.99 with the old ones.",
        "It looks at edges alone, since guided backprop is an edge detector.":
            "That is often said, but the rank correlation with Sobel's edges is only about 0.2. The map is made by learnt lower layers, "
            "and it goes when these are shuffled.",
        "The plain gradient, which is speckled, would tell less about it.":
            "Clear is not the same as true. With the last layers shuffled the plain map changes much, and only a map that changes can "
            "show what these layers learnt.",
        "Nothing yet, before it is compared with a shuffled network's map.":
            "Yes. When it was compared, the guided map stayed nearly the same with the upper layers shuffled. So it cannot show what they "
            "have learnt.",
    }, "Nothing yet, before it is compared with a shuffled network's map."),
    ("9. (2.3) Plain ascent on the score of a class ends in what is noise to us, with a higher score than any of the eight other ways "
     "reached. What is the likeliest reason?", {
         "Nothing in the score asks for a natural picture.":
             "Yes. That must come from somewhere else: from a regulariser, from waves in place of pixels, or from a network that was "
             "trained against attacks.",
         "It was given too few steps to draw something clear.":
             "This takes the score for a measure of clearness. All nine ways had 150 steps, and this one climbed highest; more steps "
             "would raise the score further.",
         "The network is badly trained and does not know its classes.":
             "A well-trained network does this too. The same network draws penguins and a pizza when the picture is held in waves and "
             "seen in random crops.",
         "A clear picture has a low score, and this one climbed too high.":
             "The score says nothing about clearness in either direction. Blur and clipping ended at a score as low as that of the clear "
             "pictures, and is not clear.",
     }, "Nothing in the score asks for a natural picture."),
    ("10. (2.4) Steps along the gradient fool coursenet on half of the scenes within an l2 length of 0.55, and the robust network within "
     "1.73. What do these lengths say?", {
         "How much noise each of the two networks can bear":
             "This forgets the direction. Changes just as long in a random direction leave coursenet wrong on 1% of the scenes, as many "
             "as without any change.",
         "How near a wrong answer lies, as far as this attack could find":
             "Yes. Another attack may find nearer pictures, so the true lengths are at most as large as these.",
         "How often each network is wrong on new photographs":
             "To be accurate and to be hard to fool are two things. Coursenet names 66.4% of new photographs of its classes right, and "
             "the robust network 55.8%.",
         "How far a picture must go until a person is fooled":
             "This takes the network's eye for ours. Nobody sees the change by which the large network takes the cat for an espresso.",
     }, "How near a wrong answer lies, as far as this attack could find"),
    ("11. (2.5) After sixty steps the picture from relu5 is 0.16 away from the cat's pixels for coursenet, and 0.08 for the robust "
     "network. Has coursenet's layer forgotten more?", {
         "It has, because its picture is twice as far from the cat.":
             "This compares the ends of two searches. The error in the code was 0.29 for coursenet and 0.06 for the robust network, so "
             "coursenet's search had not come near enough.",
         "It has, because many pictures have nearly the same code.":
             "This is how a layer forgets, but it is not what was seen. At an error of 0.29 coursenet's picture did not have nearly the "
             "code of the cat.",
         "We cannot know before both searches have come equally near.":
             "Yes. Where both have come about equally near to their codes, both pictures are 0.10 away from the cat; coursenet only "
             "needed more steps.",
         "It has not, because convolutions lose nothing of a picture.":
             "Six pictures with nearly the same code at relu4 of the robust network still differ in their pixels, and what differs need "
             "not be in the code.",
     }, "We cannot know before both searches have come equally near."),
    # ---- 03_fun ----
    ("12. (3.1) DeepDream sets the gradient at a layer equal to the layer itself, and runs backward. Of which function of the layer is "
     "this the gradient?", {
         "The sum of all its units":
             "The gradient of a sum is 1 at every unit, so that weak and strong units get the same push. Here the strong ones get more.",
         "Its norm, without a square":
             "The gradient of the norm is the layer divided by its norm. It has the same direction, but it is not the layer itself.",
         "The score of the class that it speaks for":
             "This is a class picture (2.3), for which somebody chooses a class. DeepDream chooses none, and strengthens what is there.",
         "Half of its squared norm":
             "Yes. Its derivative by each unit is the value of that unit: strong units get a strong push, weak ones a weak push, and zero "
             "stays zero.",
     }, "Half of its squared norm"),
    ("13. (3.3) The places of a layer are shuffled, in the same way in all channels. How much does its Gram matrix change?", {
        "Not at all, since it takes a mean over all the places":
            "Yes. A mean does not depend on the order. So the Gram matrix keeps which channels are on together, and forgets where.",
        "By more than a quarter, since channels no longer meet":
            "This happens when each channel is shuffled by itself, by 28.6% for the petals. Shuffled in the same way, the channels meet "
            "as before.",
        "A little, since neighbouring places are torn apart":
            "This gives the Gram matrix a memory for neighbours. Each place counts by itself, and what stands beside it is never asked.",
        "Completely, since the picture can no longer be recognised":
            "This takes the Gram matrix for a description of the picture. It never held the places, which is why it can describe a "
            "texture.",
    }, "Not at all, since it takes a mean over all the places"),
    ("14. (3.6) In fog, with a quarter of the contrast, the painter with instance norm paints as before, and the one with batch norm "
     "hardly paints. Why?", {
         "The painter with instance norm had learnt from foggy pictures as well.":
             "Both saw the same pictures, and neither had seen fog. The difference lies in the norm, and not in what they learnt from.",
         "Its scales and shifts are found anew for each picture that it paints.":
             "The scales and shifts are learnt and then fixed. What is found anew for each picture is the mean and the deviation.",
         "It divides by the deviation of this very picture, so contrast drops out.":
             "Yes. If a channel becomes p times itself plus q, with p above 0, its mean and deviation follow, and the result stays "
             "the same.",
         "Its style loss does not compare the painting with the photograph.":
             "The style loss compares with the style only, for both painters alike. So it cannot be what tells them apart.",
     }, "It divides by the deviation of this very picture, so contrast drops out."),
    ("15. (3.7) A trained painter needs one forward pass for a painting. What does it give up, compared with optimisation?", {
        "New photographs, since it must be trained again for each of them":
            "This is the cost of optimisation, which begins anew for each picture. The painter was trained once, and had never seen the "
            "pavilion that it painted.",
        "Some quality, since optimisation ends at a lower loss":
            "Yes. After about forty steps optimisation has the loss of the one pass, 0.72, and after sixty steps it is at 0.64.",
        "The content, since it was trained on the style alone":
            "The painter learns with the content loss and the style loss, as optimisation does. Only what is moved differs: its weights "
            "in place of the pixels.",
        "Nothing at all, since both of them descend the same loss":
            "To descend the same loss is not to come equally low. The painter has one set of weights for all pictures, and optimisation "
            "has steps for this one.",
    }, "Some quality, since optimisation ends at a lower loss"),
    ("16. (3.8) Where the large network painted strongly, the robust network's shape bias is 61%; where its own features painted, it is "
     "4%. What follows?", {
         "One of the two numbers must have come about by chance.":
             "This looks for an error where there is a cause. The intervals are far apart, 36% to 77% and 0% to 13%, and each holds for "
             "its own pictures.",
         "Training against attacks makes a network look at shapes.":
             "This reads one number by itself. The two networks' intervals overlap in the first case, and in the second the robust "
             "network has the lower share.",
         "It understands more of the first pictures than of the second.":
             "A high shape bias is no sign of understanding. A comparison of 8 × 8 grey pixels goes by shape nearly always, and "
             "understands nothing.",
         "The number also measures the painter, and not the network alone.":
             "Yes. A shape bias can be compared with another only if both come from the same pictures, painted as strongly and by the "
             "same features.",
     }, "The number also measures the painter, and not the network alone."),
    # ---- 04_summary ----
    ("17. (4.2) The mean scores of two methods on the same scenes have intervals that overlap. When may the first be called better?", {
        "When its mean over the scenes that were measured is higher":
            "One of two means is nearly always the higher one. Whether this is more than luck, only an interval can say.",
        "Never, because intervals that overlap mean that the two are equal":
            "Each interval also contains how much the scenes differ. This is common to both methods, and it drops out when they are "
            "compared scene by scene.",
        "When its score is the higher one in 95% of the scenes":
            "This confuses the spread of single scenes with the uncertainty of their mean. A method may be better on average and worse on "
            "many scenes.",
        "When the interval of their differences, scene by scene, lies above 0":
            "Yes. This is a paired comparison. Where many pairs are compared, some intervals lie above 0 by luck, and Holm's correction "
            "guards against this.",
    }, "When the interval of their differences, scene by scene, lies above 0"),
    ("18. (4.2) In the pointing game an occlusion map is largest in a whole window, and half of this window lies on the object. What "
     "should the map score?", {
         "1, since some of its largest values are on the object":
             "Then a map that is the same everywhere would win each game, although it points at nothing.",
         "0, since some of its largest values are off the object":
             "This treats a map that is half right like one that misses. Coarse maps would lose, whatever they show.",
         "One half, since its largest value is shared":
             "Yes. Where several pixels share the largest value, the score is the share of them on the object. A flat map then gets "
             "just the object's share of the picture.",
         "1 or 0, as its first largest pixel has it":
             "Then the order in which a computer stores pixels decides: the first is always in the window's uppermost row.",
     }, "One half, since its largest value is shared"),
    ("19. (4.3) Two heads of one network are right in 97% and in 96% of the photographer's other pictures. What does this tell about what "
     "they look at?", {
         "Nothing, since the tags name the shape in these pictures too":
             "Yes. A test set with the flaw of the training set cannot tell. Without tags, one head falls to 24% and the other stays at "
             "96%.",
         "They look at the same things, or one of them would be worse":
             "Different reasons can lead to the same answers, as long as tag and shape agree. One of these heads reads the tag.",
         "The one that was trained on pictures with tags looks at the tags":
             "Both were trained on pictures with tags. Whether a head reads them depends on what they told it in training, and on the "
             "layer that it reads.",
         "The head with 97% looks at the shape, since it is the better":
             "The difference is two pictures in 300, and here the head with 97% was the one that cheats.",
     }, "Nothing, since the tags name the shape in these pictures too"),
    ("20. (4.3) For one head, occlusion is bright in the corner with the tag. What proves that the head reads the tag?", {
        "A second method, whose maps are bright in the same corner":
            "This is better than one map, but two methods can be misled in the same way. And no map of any method says that there is "
            "a tint over the whole picture, which has no place.",
        "A counterfactual: paste other tags and count the answers":
            "Yes. Nothing else is changed. With the tag of another shape, this head says what the tag says in nine of ten pictures, and "
            "the other head hardly ever.",
        "The mean of the maps over many of the pictures":
            "A mean makes the suspicion firmer, since it does not hang on one picture. But it is a map, which suggests and does not "
            "prove.",
        "A map with more pixels, on which the tag can be seen":
            "This takes sharpness for proof. Guided maps are sharp, and stay so when the upper layers of the network are shuffled.",
    }, "A counterfactual: paste other tags and count the answers"),
]


def on_paper(questions=QUESTIONS):
    """HTML for a page that cannot run: each question can be opened, and shows its answers, each marked and explained."""
    folds = []
    for question, answers, right in questions:
        items = "".join(f"<li>{'✓' if answer == right else '✗'} <b>{escape(answer)}</b> {escape(why)}</li>"
                        for answer, why in answers.items())
        folds.append(f"<details><summary>{escape(question)}</summary><ul>{items}</ul></details>")
    return "\n".join(folds)
